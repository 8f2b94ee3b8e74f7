/** A pass in the words of the protocol. */
import type { SeriesHead } from '@tollgate/event';
import type { Counted, PollPass } from '../poll/poller.ts';
import type { Portion } from '../publisher.ts';
import type { Seat } from './daemon-beat.ts';
import type { Found } from './daemon-hints.ts';

/** What an object is called on the server. An interface keeps the short name it has without a daemon. */
export const resourceId = (source: string, { poller, kind }: Seat, object: string): string => {
  if (poller.declaration.global === true) return object;
  return kind === 'linux' ? `${source}/${object}` : `${source}/${poller.name}/${object}`;
};

type Counter = Pick<Counted, 'object' | 'meter' | 'epoch' | 'dimensions' | 'width' | 'layer' | 'lineBits'>;

const headOf = (source: string, seat: Seat, counter: Counter): SeriesHead => ({
  resource: resourceId(source, seat, counter.object),
  meter: counter.meter,
  // The protocol asks for an epoch; where the source tells none, all its values are one.
  epoch: counter.epoch || '-',
  width: counter.width ?? seat.poller.declaration.width,
  period: seat.intervalMs,
  layer: counter.layer ?? seat.poller.declaration.layer,
  ...(counter.dimensions === undefined ? {} : { dimensions: counter.dimensions }),
  ...(counter.lineBits === undefined ? {} : { lineBits: counter.lineBits }),
});

/**
 * Heads of one pass, kept for the next: while the server is away readings wait by the hundred thousand, and a head of its
 * own for each would be most of their memory.
 */
export class Heads {
  #before = new Map<string, SeriesHead>();

  readings(source: string, seat: Seat, pass: PollPass): Pick<Portion, 'samples' | 'ended'> {
    const now = new Map<string, SeriesHead>();
    const samples = pass.counted.map((counted) => ({
      head: this.#head(source, seat, counted, now),
      at: counted.at ?? pass.at,
      value: counted.value,
      start: counted.start,
    }));
    const ended = pass.ended.map((gone) => ({ head: this.#head(source, seat, gone, now), at: gone.at }));
    this.#before = now;
    return { samples, ended };
  }

  #head(source: string, seat: Seat, counter: Counter, now: Map<string, SeriesHead>): SeriesHead {
    const { object, meter, epoch, dimensions, width, layer, lineBits } = counter;
    const shape = dimensions === undefined ? '' : JSON.stringify(dimensions);
    const key = `${object}\n${meter}\n${epoch}\n${width}\n${layer}\n${lineBits}\n${shape}`;
    const head = this.#before.get(key) ?? headOf(source, seat, counter);
    now.set(key, head);
    return head;
  }
}

/** The objects of a pass, each once. */
export const objectsOf = (source: string, seat: Seat, pass: PollPass): Found[] => {
  const found = new Map<string, Found>();
  for (const { object, name, mac, alias, tag, hints } of pass.counted) {
    if (found.has(object)) continue;
    found.set(object, {
      resource: resourceId(source, seat, object),
      poller: seat.poller.name,
      object,
      ...(name === undefined ? {} : { name }),
      ...(mac === undefined ? {} : { mac }),
      ...(alias === undefined ? {} : { alias }),
      ...(tag === undefined ? {} : { tag }),
      ...(hints?.account === undefined ? {} : { account: hints.account }),
      ...(hints?.trafficType === undefined ? {} : { trafficType: hints.trafficType }),
    });
  }
  return [...found.values()];
};
