/**
 * A process that decides on one strict limit as often as it can, and writes a byte for each unit it admits. Killed by
 * whoever started it; at SIGTERM it returns what it has not used. Arguments: JSON of Work.
 */
import { openSync, writeSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { openPostgres } from '../../../store/postgres/control-postgres.ts';
import type { PostgresConnection } from '../../../store/postgres/database.ts';
import { systemClock as clock } from '../../../system.ts';
import { Engine } from '../../engine/engine.ts';
import { DurableGrants, type GrantStore } from '../../grants.ts';
import { gate, quotaOf } from '../../testing/gates.ts';
import { openRedisGrants } from '../redis-grants.ts';

export interface Work {
  redis: string | null;
  postgres: PostgresConnection | null;
  amount: number;
  /** A byte a unit admitted, `a`. */
  file: string;
}

const work = JSON.parse(process.argv[2] as string) as Work;
const quiet = (): void => undefined;
const store: GrantStore =
  work.redis !== null
    ? await openRedisGrants({ url: work.redis, clock, report: quiet })
    : await openPostgres({ connection: work.postgres as PostgresConnection, connections: 2 });
const engine = new Engine();
const grants = new DurableGrants({ engine, store, clock, report: quiet });
const prepared = engine.prepare([gate(quotaOf(work.amount, 'year'))]);
const file = openSync(work.file, 'a');
let isStopping = false;
process.on('SIGTERM', () => {
  isStopping = true;
});

/** Three units at most, written before anything else happens: what is written was served. */
async function decide(cost: number): Promise<void> {
  const unknown = (await grants.ensure(prepared, cost, clock.now())) ?? [];
  if (unknown.length > 0) return;
  if (engine.decide(prepared, cost, clock.now()).allowed) writeSync(file, 'a'.repeat(cost));
}

for (let n = 0; !isStopping; n++) {
  await decide(1 + (n % 3));
  if (n % 10 === 0) await wait(1);
}
await grants.close();
process.exit(0);
