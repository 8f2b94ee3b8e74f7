/** Which sources of a request its key may speak for. */
import { Range } from '../store/usage-store.ts';
import type { EventColumns } from './columns.ts';

/** Whether the key may speak for a source; consecutive events mostly share theirs, so its bytes are compared first. */
export class Grants {
  private readonly mayspeak: (source: string) => boolean;
  private readonly known = new Map<string, boolean>();
  private start = 0;
  private end = 0;
  private last = false;

  constructor(mayspeak: (source: string) => boolean) {
    this.mayspeak = mayspeak;
  }

  has(cols: EventColumns, p: number): boolean {
    const at = p * Range.width + Range.source;
    const start = cols.ranges[at] as number;
    const end = cols.ranges[at + 1] as number;
    if (end === this.end && start === this.start) return this.last;
    if (!this.isLast(cols.bytes, start, end)) this.last = this.lookUp(cols.bytes.toString('utf8', start, end));
    this.start = start;
    this.end = end;
    return this.last;
  }
  private isLast(b: Buffer, start: number, end: number): boolean {
    if (end - start !== this.end - this.start) return false;
    for (let i = start, k = this.start; i < end; i++, k++) if (b[i] !== b[k]) return false;
    return true;
  }
  private lookUp(source: string): boolean {
    let may = this.known.get(source);
    if (may === undefined) {
      may = this.mayspeak(source);
      this.known.set(source, may);
    }
    return may;
  }
}
