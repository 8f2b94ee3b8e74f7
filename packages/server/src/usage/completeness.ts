/** Through when is a source complete, and up to where windows may close: law 5, from declarations and the book alone. */
import type { Book } from '../domain/book.ts';
import type { Declaration } from '../domain/fact.ts';
import { type Instant, windowStart } from '../domain/window.ts';

export interface Through {
  through: Instant;
  assumed: boolean;
}

interface Last {
  through: Instant;
  receivedAt: Instant;
}

export class Completeness {
  private readonly book: Book;
  private readonly declared = new Map<string, Last>();

  constructor(book: Book, declarations: readonly Declaration[]) {
    this.book = book;
    for (const d of declarations) {
      const key = sourceKey(d.tenant, d.source);
      const last = this.declared.get(key);
      this.declared.set(key, {
        through: Math.max(last?.through ?? 0, d.completeThrough),
        receivedAt: Math.max(last?.receivedAt ?? 0, d.receivedAt),
      });
    }
  }

  /** A source that declares is complete as far as it says; another is taken as complete once its grace has passed. */
  of(tenant: string, source: string): Through {
    const declared = this.declared.get(sourceKey(tenant, source));
    const rules = this.book.source(tenant, source);
    if (rules.completeness === 'declared' || (declared !== undefined && declared.through > 0)) {
      return { through: declared?.through ?? 0, assumed: false };
    }
    return { through: this.book.lastTick - rules.graceMs, assumed: true };
  }

  /**
   * The edge up to which windows close now: as far as all live sources are complete, but never later than `deadlineMs`
   * ago, so that a slow source holds up nobody; its windows close as pending and are rewritten when it speaks.
   */
  closable(deadlineMs: number): Instant {
    const now = this.book.lastTick;
    let through = Number.MAX_SAFE_INTEGER;
    for (const last of this.declared.values()) {
      if (last.through > 0 && last.receivedAt > now - deadlineMs) through = Math.min(through, last.through);
    }
    const open = through === Number.MAX_SAFE_INTEGER ? now - deadlineMs : Math.max(through, now - deadlineMs);
    return windowStart(Math.min(open, now));
  }

  /** Sources whose declared edge moved between two moments, with the span that became complete. */
  static moved(
    before: Completeness,
    after: Completeness,
  ): { tenant: string; source: string; from: Instant; to: Instant }[] {
    const out = [];
    for (const [key, last] of after.declared) {
      const from = before.declared.get(key)?.through ?? 0;
      if (last.through <= from) continue;
      const [tenant = '', source = ''] = JSON.parse(key) as string[];
      out.push({ tenant, source, from, to: last.through });
    }
    return out;
  }
}

const sourceKey = (tenant: string, source: string): string => JSON.stringify([tenant, source]);
