/**
 * All that servers share: quotas granted ahead, strict rates and concurrency leased, sums of the other rates. A decision
 * may lack something of each; one server alone needs none but the first.
 */
import type { Clock } from '../../domain/environment.ts';
import type { Instant } from '../../domain/window.ts';
import type { Engine } from '../engine/engine.ts';
import type { Gate, Prepared } from '../engine/types.ts';
import { DurableGrants, type GrantStore } from '../grants.ts';
import type { Grants } from '../ports.ts';
import { SharedSums } from './shared-sums.ts';
import type { SumStore } from './sum-store.ts';
import { type LeaseStore, UnitLeases } from './unit-leases.ts';

export interface ConvergeDeps {
  engine: Engine;
  clock: Clock;
  /** Of the control store, or of a Redis. */
  grants: GrantStore & LeaseStore;
  /** Null: no Redis; rates that are to be shared asynchronously are counted by each server alone. */
  sums: SumStore | null;
  /** This life of this server: no two have the same. */
  holder: string;
  report(event: string, detail: Record<string, unknown>): void;
}

export class Converge implements Grants {
  private readonly quotas: DurableGrants;
  private readonly leases: UnitLeases;
  private readonly sums: SharedSums | null;
  private readonly parts: readonly Grants[];

  constructor({ engine, clock, grants, sums, holder, report }: ConvergeDeps) {
    this.quotas = new DurableGrants({ engine, store: grants, clock, report });
    this.leases = new UnitLeases({ engine, store: grants, clock, holder, report });
    this.sums = sums === null ? null : new SharedSums({ engine, store: sums, clock, report });
    this.parts = this.sums === null ? [this.quotas, this.leases] : [this.quotas, this.leases, this.sums];
  }

  ensure(prepared: Prepared, cost: number, now: Instant, waitMs?: number): Promise<readonly Gate[]> | null {
    let waiting: Promise<readonly Gate[]>[] | null = null;
    for (const part of this.parts) {
      const lacking = part.ensure(prepared, cost, now, waitMs);
      if (lacking === null) continue;
      waiting ??= [];
      waiting.push(lacking);
    }
    return waiting === null ? null : Promise.all(waiting).then((all) => all.flat());
  }

  keepTime(prepared: Prepared, now: Instant): void {
    this.leases.keepTime(prepared, now);
  }

  start(): void {
    this.leases.start();
    this.sums?.start();
  }

  /** Gives back what is not used, and tells the rest. */
  async close(): Promise<void> {
    await Promise.all([this.leases.close(), this.sums?.close()]);
    await this.quotas.close();
  }
}
