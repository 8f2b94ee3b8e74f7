/** A set of whole numbers, kept as ascending ranges that neither overlap nor touch: nearly always a single one. */
export class NumberRanges {
  /** First and last number of each range, one behind the other. */
  private readonly edges: number[];

  constructor(like?: NumberRanges) {
    this.edges = like === undefined ? [] : [...like.edges];
  }

  has(n: number): boolean {
    const { edges } = this;
    return (edges[2 * this.upTo(n)] ?? Infinity) <= n;
  }

  /** Adds first .. last; nothing, where last lies before first. */
  add(first: number, last: number): void {
    if (last < first) return;
    const { edges } = this;
    const [from, to] = [this.upTo(first - 1), this.upTo(last + 1)];
    // Ranges from .. to - 1, and `to` itself where it begins by last + 1, become one with what is added.
    const meets = (edges[2 * to] ?? Infinity) <= last + 1 ? to + 1 : to;
    const low = from < meets ? Math.min(first, edges[2 * from] ?? first) : first;
    const high = from < meets ? Math.max(last, edges[2 * meets - 1] ?? last) : last;
    edges.splice(2 * from, 2 * (meets - from), low, high);
  }

  *[Symbol.iterator](): IterableIterator<readonly [first: number, last: number]> {
    const { edges } = this;
    for (let i = 0; i < edges.length; i += 2) yield [edges[i] ?? 0, edges[i + 1] ?? 0];
  }

  /** Index of the first range that ends at `n` or after it. What is asked for is nearly always at the end. */
  private upTo(n: number): number {
    const { edges } = this;
    let [low, high] = [0, edges.length / 2];
    if (high > 0 && (edges[edges.length - 1] ?? 0) < n) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((edges[2 * middle + 1] ?? 0) < n) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
