/**
 * A process that decides on one limit that it shares with others, as often as it can, and writes down what it admitted and
 * when by true time, whatever its own clock says. Killed by whoever started it; SIGTERM: it gives back what it has.
 * Arguments: JSON of SharedWork. Lines: `+ ms units`, and of what is held, when it ends, `- ms-of-its-plus ms`.
 */
import { randomBytes } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../../../domain/environment.ts';
import type { LimitRule } from '../../../domain/limit/limit.ts';
import { openPostgres } from '../../../store/postgres/control-postgres.ts';
import type { PostgresConnection } from '../../../store/postgres/database.ts';
import { systemClock } from '../../../system.ts';
import { Engine } from '../../engine/engine.ts';
import { gate } from '../../testing/gates.ts';
import { openRedisGrants } from '../redis-grants.ts';
import { SharedSums } from '../shared-sums.ts';
import { UnitLeases } from '../unit-leases.ts';

export interface SharedWork {
  redis: string | null;
  postgres: PostgresConnection | null;
  rule: LimitRule;
  sharing: 'strict' | 'async';
  /** How far its clock is off, ms. */
  skewMs: number;
  /** Calls between two breaths of a ms: how hard it asks. */
  burst: number;
  file: string;
}

const work = JSON.parse(process.argv[2] as string) as SharedWork;
const { rule, sharing, skewMs } = work;
const clock: Clock = { ...systemClock, now: () => systemClock.now() + skewMs };
const report = (): void => undefined;
const redis = work.redis === null ? null : await openRedisGrants({ url: work.redis, clock, report, isNew: true });
const store = redis ?? (await openPostgres({ connection: work.postgres as PostgresConnection, connections: 2 }));
const engine = new Engine();
const leases = new UnitLeases({ engine, store, clock, holder: randomBytes(8).toString('hex'), report });
const sums = redis === null ? null : new SharedSums({ engine, store: redis, clock, report });
const shared = sharing === 'strict' || sums === null ? leases : sums;
const prepared = engine.prepare([gate(rule, { sharing })]);
const file = openSync(work.file, 'a');
let isStopping = false;
process.on('SIGTERM', () => {
  isStopping = true;
});
shared.start();

async function decide(cost: number): Promise<void> {
  const waiting = shared.ensure(prepared, cost, clock.now());
  if (((waiting === null ? null : await waiting) ?? []).length > 0) return;
  // Before the decision: what it was granted for had begun by then.
  const at = systemClock.now();
  const now = at + skewMs;
  if (sharing === 'strict') leases.keepTime(prepared, now);
  if (!engine.decide(prepared, cost, now).allowed) return;
  writeSync(file, `+ ${at} ${cost}\n`);
  if (rule.kind === 'concurrency') void release(at, now);
}

async function release(at: number, charged: number): Promise<void> {
  await wait(Math.random() * 15);
  writeSync(file, `- ${at} ${systemClock.now()}\n`);
  engine.settle(prepared, 1, 0, clock.now(), { charged, heldFrom: charged, shadowed: [] });
}

for (let n = 0; !isStopping; n++) {
  await decide(rule.kind === 'concurrency' ? 1 : 1 + (n % 3));
  if (n % work.burst === 0) await wait(1);
}
await shared.close();
process.exit(0);
