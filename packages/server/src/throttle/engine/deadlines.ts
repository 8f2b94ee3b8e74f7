/** What is due when: a heap by time. What was dropped before its time is skipped when it comes up, or swept out by half. */
import type { Instant } from '../../domain/window.ts';

interface Due {
  at: Instant;
  id: string;
}

export class Deadlines {
  private heap: Due[] = [];

  get size(): number {
    return this.heap.length;
  }

  add(at: Instant, id: string): void {
    const { heap } = this;
    let i = heap.push({ at, id }) - 1;
    while (i > 0) {
      const parent = (i - 1) >>> 1;
      if ((heap[parent] as Due).at <= at) break;
      this.swap(i, parent);
      i = parent;
    }
  }

  /** The earliest that is due at `now`, taken out; null when none is. */
  next(now: Instant): string | null {
    const first = this.heap[0];
    if (first === undefined || first.at > now) return null;
    const last = this.heap.pop() as Due;
    if (this.heap.length > 0) {
      this.heap[0] = last;
      this.sink();
    }
    return first.id;
  }

  /** Keeps only what still waits. */
  keep(at: (id: string) => Instant | null): void {
    const ids = new Set(this.heap.map((due) => due.id));
    this.heap = [];
    for (const id of ids) {
      const time = at(id);
      if (time !== null) this.add(time, id);
    }
  }

  private sink(): void {
    const { heap } = this;
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < heap.length && (heap[child] as Due).at < (heap[least] as Due).at) least = child;
      }
      if (least === i) return;
      this.swap(i, least);
      i = least;
    }
  }

  private swap(i: number, j: number): void {
    const kept = this.heap[i] as Due;
    this.heap[i] = this.heap[j] as Due;
    this.heap[j] = kept;
  }
}
