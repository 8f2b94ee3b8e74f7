/**
 * Questions to a store, one on its way at a time: while it is, the next ones gather. After a failure the store is left
 * alone for a while and nobody waits.
 */
import type { Clock } from '../domain/environment.ts';
import type { Gate } from './engine/types.ts';

/** Something asked about. Who waits knows by the numbers whether his question was answered. */
export interface Asked {
  sent: number;
  answered: number;
}

export interface Awaited<T extends Asked> {
  /** Of who waits: another may ask about the same counter by a gate of its own. */
  gate: Gate;
  item: T;
  question: number;
}

export interface RoundsDeps<T> {
  clock: Clock;
  /** After a failure, ms. */
  restMs: number;
  /** Asks for all of them at once, and takes in what was answered. */
  ask(items: readonly T[]): Promise<void>;
  failed(error: unknown, items: readonly T[]): void;
}

const ASKS_AT_ONCE = 1000;

export class Rounds<T extends Asked> {
  private readonly deps: RoundsDeps<T>;
  private readonly waiting = new Set<T>();
  private readonly flying = new Set<T>();
  private flight: Promise<void> | null = null;
  private restUntil = Number.NEGATIVE_INFINITY;

  constructor(deps: RoundsDeps<T>) {
    this.deps = deps;
  }

  /** The number of the question that will ask for it. */
  add(item: T): number {
    this.waiting.add(item);
    return item.sent + 1;
  }

  /** Whether no question has asked for it yet. */
  isUnsent({ item, question }: Awaited<T>): boolean {
    return item.sent < question;
  }

  isAsking(item: T): boolean {
    return this.waiting.has(item) || this.flying.has(item);
  }

  isResting(): boolean {
    return this.deps.clock.elapsed() < this.restUntil;
  }

  go(): void {
    if (this.flight !== null || this.waiting.size === 0 || this.isResting()) return;
    this.flight = this.round().finally(() => {
      this.flight = null;
      this.go();
    });
  }

  /** Until nothing is on its way. */
  async idle(): Promise<void> {
    while (this.flight !== null) await this.flight;
  }

  /** Those that were not answered in time. */
  async answered(awaited: readonly Awaited<T>[], waitMs: number): Promise<Awaited<T>[]> {
    const over = new AbortController();
    const late = this.deps.clock.sleep(waitMs, over.signal).then(
      () => false,
      () => false,
    );
    const isOpen = ({ item, question }: Awaited<T>): boolean => item.answered < question;
    let inTime = true;
    while (inTime && this.flight !== null && awaited.some(isOpen))
      inTime = await Promise.race([this.flight.then(() => true), late]);
    over.abort();
    return awaited.filter(isOpen);
  }

  private async round(): Promise<void> {
    const { clock, restMs, ask, failed } = this.deps;
    const items = [...this.waiting].slice(0, ASKS_AT_ONCE);
    const questions = items.map((item) => {
      this.waiting.delete(item);
      this.flying.add(item);
      return ++item.sent;
    });
    try {
      await ask(items);
      for (const [i, item] of items.entries()) item.answered = questions[i] as number;
    } catch (error) {
      this.restUntil = clock.elapsed() + restMs;
      failed(error, items);
    } finally {
      for (const item of items) this.flying.delete(item);
    }
  }
}
