/** What a pass hands over to be published, and its parts: each fits in one request. */
import { limits, type ResourceHint, type SeriesHead } from '@tollgate/event';

export interface Sample {
  head: SeriesHead;
  at: number;
  value: bigint;
  /** When the counter stood at zero; 0 unknown. */
  start: number;
}

/** What one pass found. Sent whole before anything later. */
export interface Portion {
  samples: readonly Sample[];
  ended: readonly { head: SeriesHead; at: number }[];
  /** What is to be known of resources before these readings are. */
  resources?: readonly ResourceHint[];
  /** Every fact of this source up to this instant is in this portion or in earlier ones. */
  completeThrough: number;
  /** Called once. True: nothing of it can be lost any more, it is durable on the server or on disk. False: it was refused. */
  settled?: (kept: boolean) => void;
}

export interface Item {
  head: SeriesHead;
  at: number;
  /** null: the counter ended. */
  value: bigint | null;
  start: number;
}

/** A pass, or a piece of a large one. */
export interface Part {
  items: readonly Item[];
  resources: readonly ResourceHint[];
  /** 0: nothing is said. A source is complete through an instant only with the last part of that pass. */
  completeThrough: number;
  /** Bytes it takes in a request, at most. */
  size: number;
  settled: (kept: boolean) => void;
}

/** Bytes of one request, estimated from above: half of what the server takes. */
export const REQUEST_BYTES = limits.bodyBytes / 2;
/** A row without its head: index, time, 20 digits, start. */
const ROW_BYTES = 64;

const nothing = (): void => undefined;

const texts = new WeakMap<SeriesHead, string>();
/** The head as JSON. Pollers hand over the same object again and again, so it is worked out once. */
export const headText = (head: SeriesHead): string => {
  const known = texts.get(head);
  if (known !== undefined) return known;
  const text = JSON.stringify(head);
  texts.set(head, text);
  return text;
};

/** Bytes in UTF-8 are at most three a character. */
const bytesOf = (text: string): number => text.length * 3;
export const sizeOfHints = (resources: readonly ResourceHint[]): number =>
  resources.reduce((sum, hint) => sum + bytesOf(JSON.stringify(hint)), 0);
export const sizeOfItems = (items: readonly Item[]): number => {
  const heads = new Set(items.map((item) => item.head));
  let size = items.length * ROW_BYTES;
  for (const head of heads) size += bytesOf(headText(head));
  return size;
};

interface Draft {
  items: Item[];
  resources: ResourceHint[];
  size: number;
  heads: Set<SeriesHead>;
}
const draft = (): Draft => ({ items: [], resources: [], size: 0, heads: new Set() });

/** Hints come first: a resource is to be known before its readings are. At least one part, also without items. */
export const partsOf = ({ samples, ended, resources = [], completeThrough, settled = nothing }: Portion): Part[] => {
  let last = draft();
  const drafts = [last];
  const room = (size: number): void => {
    const full = last.items.length >= limits.itemsPerRequest || last.size + size > REQUEST_BYTES;
    if (!full || last.size === 0) return;
    last = draft();
    drafts.push(last);
  };
  for (const hint of resources) {
    const size = sizeOfHints([hint]);
    room(size);
    last.resources.push(hint);
    last.size += size;
  }
  const put = (item: Item): void => {
    const head = bytesOf(headText(item.head));
    room(ROW_BYTES + head);
    last.size += ROW_BYTES + (last.heads.has(item.head) ? 0 : head);
    last.heads.add(item.head);
    last.items.push(item);
  };
  for (const { head, at, value, start } of samples) put({ head, at, value, start });
  for (const { head, at } of ended) put({ head, at, value: null, start: 0 });
  return drafts.map(({ items, resources, size }, i) => {
    const isLast = i === drafts.length - 1;
    const own = isLast ? { completeThrough, settled } : { completeThrough: 0, settled: nothing };
    return { items, resources, size, ...own };
  });
};

/** What tells counters and their lives apart. */
export const seriesText = (head: SeriesHead): string =>
  JSON.stringify([head.resource, head.meter, head.epoch, Object.entries(head.dimensions ?? {}).sort()]);
