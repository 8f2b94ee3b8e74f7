/** A decider on a lender, and calls that wait for it. */
import { Decider, type DeciderSettings, type Verdict } from '../decider.ts';
import { LeaseClient } from '../lease-client.ts';
import { Lender, settled, World } from './lender.ts';

export function open(units: number, more: Partial<DeciderSettings> = {}) {
  const world = new World();
  const lender = new Lender(world, units);
  const told: string[] = [];
  const client = new LeaseClient({ network: lender, clock: world, report: (event) => told.push(event) });
  const settings = { meter: 'requests', waitMs: 10, most: 100, fail: { mode: 'open' as const, amount: 0 }, ...more };
  const decider = new Decider({ client, clock: world, timers: world, settings });
  const decide = (cost = 1, account = 'acme', action = '') => decider.decide(account, action, cost);
  /** Whether admitted; gives the server its answers, and the wait its time. */
  const ask = async (cost = 1, account = 'acme'): Promise<boolean> => {
    const verdict = decide(cost, account);
    if (verdict instanceof Promise) {
      await settled();
      world.pass(10);
    }
    return (await verdict).refusal === null;
  };
  const count = async (times: number, cost = 1): Promise<number> => {
    let admitted = 0;
    for (let i = 0; i < times; i++) if (await ask(cost)) admitted++;
    return admitted;
  };
  return { world, lender, decider, decide, ask, count, told, client };
}

export const isNow = (verdict: Verdict | Promise<Verdict>): verdict is Verdict => !(verdict instanceof Promise);
