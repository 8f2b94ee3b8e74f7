/**
 * The load, in a process of its own: R requests a second, open loop, from 5,000 tenants by Zipf's law, sizes log-normal,
 * all from one seed. Each request says in its URL what it is to be metered with; what was answered is the truth.
 */
import { Agent, request } from 'node:http';

interface Orders {
  port: number;
  rate: number;
  tenants: number;
  seed: number;
}

const TICK_MS = 10;
const UNKNOWN = 0.01;

/** mulberry32: small, and the same everywhere. */
const lots = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
};

const zipf = (tenants: number, lot: () => number): (() => number) => {
  const sums = new Float64Array(tenants);
  let sum = 0;
  for (let i = 0; i < tenants; i++) {
    sum += 1 / (i + 1);
    sums[i] = sum;
  }
  return () => {
    const wanted = lot() * sum;
    let [low, high] = [0, tenants - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] as number) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
};

const logNormal = (median: number, lot: () => number): number =>
  Math.round(median * Math.exp(Math.sqrt(-2 * Math.log(1 - lot())) * Math.cos(2 * Math.PI * lot())));

const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const totals: Record<string, number> = {};
let records = 0;
let failed = 0;
let inFlight = 0;

const note = (key: string, value: number): void => {
  totals[key] = (totals[key] ?? 0) + value;
  records++;
};

const load = ({ port, rate, tenants, seed }: Orders): (() => void) => {
  const lot = lots(seed);
  const tenant = zipf(tenants, lot);
  const one = (): void => {
    const who = lot() < UNKNOWN ? '' : `tenant-${tenant()}`;
    const kind = lot() < 0.5 ? 'service' : 'webapp';
    const [bytesIn, bytesOut] = [logNormal(2000, lot), logNormal(10_000, lot)];
    inFlight++;
    const call = request(
      { port, host: '127.0.0.1', agent, path: `/${kind}/${who}/${bytesIn}/${bytesOut}` },
      (response) => {
        response.resume();
        response.on('end', () => {
          inFlight--;
          note(`${kind}.in ${who}`, bytesIn);
          note(`${kind}.out ${who}`, bytesOut);
        });
      },
    );
    call.on('error', () => {
      inFlight--;
      failed++;
    });
    call.end();
  };
  const from = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = ((performance.now() - from) * rate) / 1000;
    for (; sent < due; sent++) one();
  }, TICK_MS);
  return () => clearInterval(timer);
};

let stop: () => void = () => undefined;
process.on('message', (message: Orders | 'stop') => {
  if (message !== 'stop') {
    stop = load(message);
    return;
  }
  stop();
  const waiting = setInterval(() => {
    if (inFlight > 0) return;
    clearInterval(waiting);
    process.send?.({ totals, records, failed }, () => process.disconnect());
  }, 5);
});
process.on('disconnect', () => process.exit(0));
