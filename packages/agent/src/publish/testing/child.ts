/**
 * A service that measures until it is killed: `node child.js URL SPOOL SEED`. Says on stdout, a line each flush interval,
 * what it had measured and when: what a line says was measured before the line was written.
 */
import { openUsage } from '../usage.ts';

const [url = '', spool = '', seed = '1'] = process.argv.slice(2);
const usage = await openUsage({
  url,
  key: 'k',
  source: 'test/child',
  spool,
  bucketMs: 1000,
  startupDelayMs: 200,
  waitFirstMs: 20,
  waitMaxMs: 100,
  segmentBytes: 20_000,
  signals: ['SIGTERM'],
  // A busy machine is no reason to leave something in the spool.
  graceMs: 60_000,
  report: ({ level, message }) => void (level === 'error' && process.stderr.write(`${message}\n`)),
});
usage.start();
let state = Number(seed);
const next = (): number => {
  state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
  return state;
};
process.stdout.write(`${JSON.stringify({ lost: usage.status().lost })}\n`);
const serving = setInterval(() => {
  const at = Date.now();
  const added: Record<string, number> = {};
  for (let i = 0; i < 20; i++) {
    const subject = `t${next() % 50}`;
    const quantity = next() % 1000;
    usage.recorder.add({ meter: 'bytes', subject }, quantity);
    const key = `bytes ${subject}`;
    added[key] = (added[key] ?? 0) + quantity;
  }
  process.stdout.write(`${JSON.stringify({ at, until: Date.now(), added })}\n`);
}, 10);
// A service stops serving before it ends.
process.once('SIGTERM', () => clearInterval(serving));
