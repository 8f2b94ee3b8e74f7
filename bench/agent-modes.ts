/** The four ways to publish what is measured, and none, as the article and stratos section 6 tell them. */
import { httpNetwork, openUsage } from '@tollgate/agent';

export type Mode = 'none' | 'A' | 'A1' | 'B' | 'C';

export interface Publishing {
  add(meter: string, subject: string, value: number): void;
  /** What SIGTERM does. */
  stop(): Promise<void>;
  /** Records not yet sent. */
  waiting(): number;
}

export interface ModeSettings {
  url: string;
  folder: string;
  periodMs: number;
}

/** Events of one request, the same for all modes. */
export const PER_REQUEST = 100;

interface Raw {
  meter: string;
  subject: string;
  value: number;
}

/** Sums a batch by (tenant, measurement) and publishes one event each. What fails is dropped, as it was. */
class Summing {
  readonly #network;
  #id = 0;

  constructor(url: string) {
    this.#network = httpNetwork(url, 'key');
  }

  async publish(records: readonly Raw[]): Promise<void> {
    const sums = new Map<string, Raw>();
    for (const { meter, subject, value } of records) {
      const key = `${meter} ${subject}`;
      const sum = sums.get(key);
      if (sum === undefined) sums.set(key, { meter, subject, value });
      else sum.value += value;
    }
    const time = new Date().toISOString();
    let events: unknown[] = [];
    for (const { meter, subject, value } of sums.values()) {
      const id = String(this.#id++);
      events.push({
        specversion: '1.0',
        id,
        source: 'bench',
        type: meter,
        subject,
        time,
        data: { value: String(value) },
      });
      if (events.length < PER_REQUEST) continue;
      await this.#send(events);
      events = [];
    }
    if (events.length > 0) await this.#send(events);
  }

  async #send(events: readonly unknown[]): Promise<void> {
    const type = 'application/cloudevents-batch+json';
    await this.#network.post('/api/v1/events', JSON.stringify(events), type).catch(() => undefined);
  }
}

/** A fixed delay between the end of one turn and the beginning of the next. */
const repeat = (ms: number, turn: () => Promise<void> | void): (() => void) => {
  let timer: NodeJS.Timeout;
  const again = (): void => {
    timer = setTimeout(() => void Promise.resolve(turn()).then(again), ms);
  };
  again();
  return () => clearTimeout(timer);
};

const burst = ({ url }: ModeSettings, periodMs: number): Publishing => {
  const summing = new Summing(url);
  let list: Raw[] = [];
  const stop = repeat(periodMs, () => {
    const taken = list;
    list = [];
    return summing.publish(taken);
  });
  return {
    add: (meter, subject, value) => void list.push({ meter, subject, value }),
    stop: async () => stop(),
    waiting: () => list.length,
  };
};

/** Two chained tasks: requests to records, records to events; 100 each, every 100 ms. */
const paced = ({ url }: ModeSettings): Publishing => {
  const summing = new Summing(url);
  const requests: Raw[][] = [];
  const records: Raw[] = [];
  let request: Raw[] = [];
  const stops = [
    repeat(100, () => {
      for (const taken of requests.splice(0, 100)) records.push(...taken);
    }),
    repeat(100, () => summing.publish(records.splice(0, 100))),
  ];
  return {
    add(meter, subject, value) {
      request.push({ meter, subject, value });
      if (request.length < 2) return;
      requests.push(request);
      request = [];
    },
    stop: async () => {
      for (const stop of stops) stop();
    },
    waiting: () => records.length + requests.length * 2,
  };
};

const ours = async ({ url, folder }: ModeSettings): Promise<Publishing> => {
  const usage = await openUsage({ url, key: 'key', source: 'bench', spool: folder });
  usage.start();
  return {
    add: (meter, subject, value) => usage.recorder.add({ meter, subject }, value),
    stop: () => usage.stop(),
    waiting: () => usage.status().depth,
  };
};

export const publishing = async (mode: Mode, settings: ModeSettings): Promise<Publishing> => {
  if (mode === 'A') return burst(settings, settings.periodMs);
  if (mode === 'A1') return burst(settings, 1000);
  if (mode === 'B') return paced(settings);
  if (mode === 'C') return ours(settings);
  return { add: () => undefined, stop: async () => undefined, waiting: () => 0 };
};
