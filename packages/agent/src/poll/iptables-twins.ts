/**
 * Identical rules of one chain ("twins"), told as one counter that does not fall when one of them is removed: a fall
 * would be a restart from zero to the server, and bill what is left once more. A new epoch would do the same. So what a
 * removed twin had counted is carried on. Pure.
 *
 * Which twin stayed is told by its value: the largest it can have grown from. Where two fit, that counts less, not more.
 */
export type Duplicates = 'largest' | 'sum';

/** What is remembered of one counter. */
export interface Twins {
  readonly values: readonly bigint[];
  /** Added to what the rules show. */
  readonly carry: bigint;
}

export const followTwins = (before: Twins | undefined, values: readonly bigint[], how: Duplicates): Twins => {
  if (before === undefined) return { values, carry: 0n };
  if (values.length < before.values.length) {
    const bases = basesOf(before.values, values);
    // One of them grew from none of those before: it was zeroed or loaded anew.
    if (bases === null) return { values, carry: 0n };
    return { values, carry: before.carry + merged(before.values, how) - merged(bases, how) };
  }
  return { values, carry: merged(values, how) < merged(before.values, how) ? 0n : before.carry };
};

export const toldOf = ({ values, carry }: Twins, how: Duplicates): bigint =>
  BigInt.asUintN(64, merged(values, how) + carry);

/** Nothing to remember of a rule that stands alone and always did. */
export const isPlain = ({ values, carry }: Twins): boolean => values.length < 2 && carry === 0n;

const merged = (values: readonly bigint[], how: Duplicates): bigint =>
  values.reduce((sum, value) => (how === 'sum' ? sum + value : value > sum ? value : sum), 0n);

/** What each of `now` was before; null when one fits none. */
const basesOf = (before: readonly bigint[], now: readonly bigint[]): bigint[] | null => {
  const left = [...before].sort(descending);
  const bases: bigint[] = [];
  for (const value of [...now].sort(descending)) {
    const at = left.findIndex((one) => one <= value);
    if (at < 0) return null;
    bases.push(...left.splice(at, 1));
  }
  return bases;
};

const descending = (a: bigint, b: bigint): number => (a < b ? 1 : a > b ? -1 : 0);

/** Counters with twins, by what they are called, as kept over a restart. */
export interface TwinMemory {
  /** They are of one boot and one namespace. */
  readonly epoch: string;
  readonly known: ReadonlyMap<string, Twins>;
}

export const noTwins: TwinMemory = { epoch: '', known: new Map() };

export const rememberTwins = ({ epoch, known }: TwinMemory): string =>
  JSON.stringify({
    epoch,
    known: [...known].map(([key, { values, carry }]) => [key, `${carry}`, ...values.map(String)]),
  });

/** None for anything that is no such memory. */
export const recallTwins = (text: string | undefined): TwinMemory => {
  try {
    const { epoch, known } = JSON.parse(text ?? '') as { epoch: unknown; known: unknown[][] };
    const rows = known.map(([key, carry, ...values]): [string, Twins] => [
      String(key),
      { carry: BigInt(String(carry)), values: values.map((value) => BigInt(String(value))) },
    ]);
    return { epoch: String(epoch), known: new Map(rows) };
  } catch {
    return noTwins;
  }
};
