/**
 * Thresholds: once for each crossing, limit version and period, kept in the control store, so that a restart tells nothing
 * twice. A counter that stands above several tells all of them. Rates have no notices: they come and go by the second.
 */
import type { Clock } from '../domain/environment.ts';
import type { Instant, Interval } from '../domain/window.ts';
import type { ControlStore, Notice } from '../store/control-store.ts';
import type { DecisionEngine, Gate, Prepared } from './engine/types.ts';
import { Loop } from './loop.ts';
import { scopeOf } from './usage-scope.ts';

export interface NoticeDeps {
  control: Pick<ControlStore, 'addNotices' | 'notices'>;
  engine: Pick<DecisionEngine, 'status'> & { period(gate: Gate, now: Instant): Interval };
  clock: Clock;
  report(event: string, detail: Record<string, unknown>): void;
  /** Where a new notice goes besides the log: a webhook, a mail. May reject; the list keeps it in any case. */
  send?: (notice: Notice) => Promise<void>;
}

/** Between two looks at the counters that decisions moved. */
const PACE_MS = 500;
/** Notices, and questions, that may wait for the store: the rest is told when their counters move again. */
const WAITING_MAX = 10_000;

/** What of a gate has been told in the period that ends at `to`. */
interface Told {
  to: Instant;
  /** Thresholds told, and the usage that reaches the next one. */
  count: number;
  nextAt: number;
}

export class Notices {
  private readonly deps: NoticeDeps;
  private readonly told = new WeakMap<Gate, Told>();
  private waiting: Omit<Notice, 'id'>[] = [];
  private moved = new Set<Prepared>();
  private readonly loop: Loop;

  constructor(deps: NoticeDeps) {
    this.deps = deps;
    this.loop = new Loop({
      clock: deps.clock,
      paceMs: PACE_MS,
      work: () => this.work(),
      failed: (error) => this.failed(error),
    });
  }

  start(): void {
    this.loop.start();
  }

  /** Tells what is left. */
  async stop(): Promise<void> {
    await this.loop.stop();
    await this.work().catch((error: unknown) => this.failed(error));
  }

  /** A decision charged these gates: looked at soon, not now. */
  touch(prepared: Prepared): void {
    if (this.moved.size < WAITING_MAX) this.moved.add(prepared);
  }

  /** The gate's counter stands at `used`. */
  consider(gate: Gate, used: number, now: Instant): void {
    const { rule, thresholds, shadow } = gate.limit;
    if (rule.kind !== 'quota' || thresholds.length === 0 || shadow) return;
    let told = this.told.get(gate);
    if (told === undefined || now >= told.to) {
      told = { to: this.deps.engine.period(gate, now).to, count: 0, nextAt: reached(rule.amount, thresholds[0]) };
      this.told.set(gate, told);
    }
    while (used >= told.nextAt && this.waiting.length < WAITING_MAX) {
      this.waiting.push(this.noticeOf(gate, thresholds[told.count] as number, used, now));
      told.nextAt = reached(rule.amount, thresholds[++told.count]);
    }
  }

  /** Looks at what decisions moved, and stores and tells what is new. Rejects when the store does not answer. */
  async work(): Promise<void> {
    const { engine, clock, control, report, send } = this.deps;
    const now = clock.now();
    const moved = [...this.moved];
    this.moved.clear();
    for (const prepared of moved) {
      const status = engine.status(prepared, now);
      prepared.gates.forEach((gate, i) => void this.consider(gate, status[i]?.used ?? 0, now));
    }
    if (this.waiting.length === 0) return;
    const batch = this.waiting.slice();
    const added = await control.addNotices(batch);
    this.waiting.splice(0, batch.length);
    for (const notice of added) {
      report('limit.threshold', { ...notice });
      send?.(notice).catch((error: unknown) =>
        report('limit.notice_not_sent', { id: notice.id, error: String(error) }),
      );
    }
  }

  /** Newest first. `tenants`: those who may be seen; null: all. */
  list(tenants: ReadonlySet<string> | null, limit: number, before?: number): Promise<Notice[]> {
    return this.deps.control.notices({
      limit,
      ...(tenants === null ? {} : { tenants: [...tenants] }),
      ...(before === undefined ? {} : { before }),
    });
  }

  private noticeOf(gate: Gate, percent: number, used: number, at: Instant): Omit<Notice, 'id'> {
    const { limit, account, subject } = gate;
    const { from, to } = this.deps.engine.period(gate, at);
    const amount = limit.rule.amount;
    const tenant = scopeOf(gate).account ?? '';
    return { tenant, limit: limit.key, version: limit.version, account, subject, from, to, percent, used, amount, at };
  }

  private failed(error: unknown): void {
    this.deps.report('limit.notices_failed', { error: String(error) });
  }
}

/** Least usage that is the percentage of the amount, at least 1: nothing used is no news. */
function reached(amount: number, percent: number | undefined): number {
  if (percent === undefined) return Number.POSITIVE_INFINITY;
  const exact = (BigInt(amount) * BigInt(percent) + 99n) / 100n;
  return exact > 1n ? Number(exact) : 1;
}
