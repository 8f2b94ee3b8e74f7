/**
 * High-water marks: for each (tenant, source, run) the highest sequence that is durable, and the highest that is on its
 * way. What lies at or below the first was accepted before; between the two, its commit has to be awaited.
 */
export interface Mark {
  committed: number;
  /** >= committed; falls back to it when a commit fails. */
  claimed: number;
  /** Settles when what is claimed is durable, rejects when it is not. */
  settled: Promise<void>;
}

export class Marks {
  private readonly marks = new Map<string, Mark>();

  restore(rows: readonly { tenant: string; source: string; run: string; lastSequence: number }[]): void {
    for (const { tenant, source, run, lastSequence } of rows) {
      const mark = this.of(tenant, source, run);
      mark.committed = Math.max(mark.committed, lastSequence);
      mark.claimed = mark.committed;
    }
  }

  of(tenant: string, source: string, run: string): Mark {
    const name = JSON.stringify([tenant, source, run]);
    let mark = this.marks.get(name);
    if (mark === undefined) {
      mark = { committed: -1, claimed: -1, settled: Promise.resolve() };
      this.marks.set(name, mark);
    }
    return mark;
  }

  get size(): number {
    return this.marks.size;
  }
}
