/** Through when is a source complete, and up to where windows may close: law 5, from declarations and the book alone. */
import type { Book } from '../domain/book.ts';
import type { Declaration } from '../domain/fact.ts';
import { type Instant, type Interval, windowStart } from '../domain/window.ts';

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

  /** Spans in which windows that end there (first excluded, last included) were judged otherwise before. */
  changed(before: Completeness, tenant: string, source: string): (Interval & { takesBack: boolean })[] {
    const [then, now] = [before.of(tenant, source), this.of(tenant, source)];
    const [settledThen, settled] = [before.settledBefore(tenant, source), this.settledBefore(tenant, source)];
    const spans = [
      { from: then.through, to: now.through, takesBack: now.through < then.through },
      { from: settledThen, to: settled, takesBack: settled < settledThen },
    ];
    // Assumed or declared: it shows on every record.
    if (then.assumed !== now.assumed) spans.push({ from: 0, to: Math.max(then.through, now.through), takesBack: true });
    return spans
      .filter((s) => s.from !== s.to)
      .map((s) => ({ ...s, from: Math.min(s.from, s.to), to: Math.max(s.from, s.to) }));
  }

  settledBefore(tenant: string, source: string): Instant {
    return this.book.settledBefore(tenant, source);
  }
}

const sourceKey = (tenant: string, source: string): string => JSON.stringify([tenant, source]);
