/** What all that servers share have in common for who asks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openControlModel } from '../../store/model/control-model.ts';
import { Engine } from '../engine/engine.ts';
import type { Gate } from '../engine/types.ts';
import { gate, quotaOf, rate } from '../testing/gates.ts';
import { Converge } from './converge.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const never = (): Promise<never> => new Promise(() => undefined);

/** Two calls ask about one counter of a store that does not answer, each by a gate of its own. */
async function checkOwnGates(kind: string, asked: () => Gate): Promise<void> {
  const clock = {
    now: () => NOW,
    elapsed: () => 0,
    sleep: () => new Promise<void>((resolve) => setImmediate(resolve)),
  };
  const grants = { ...openControlModel(), takeGrants: never, leaseUnits: never };
  const engine = new Engine();
  const report = (): void => undefined;
  const converge = new Converge({ engine, clock, grants, sums: { exchange: never }, holder: 'one', report });
  const gates = [asked(), asked()];
  const answers = await Promise.all(gates.map((one) => converge.ensure(engine.prepare([one]), 1, NOW)));
  assert.deepEqual(
    answers.map((unknown) => unknown?.map((one) => gates.indexOf(one))),
    [[0], [1]],
    kind,
  );
}

test('who asks is told of his own gate, also when another asks about the same counter meanwhile', async () => {
  await checkOwnGates('granted', () => gate(quotaOf(100), { fail: { mode: 'closed' } }));
  await checkOwnGates('leased', () => gate(rate('fixed', 100, 1000), { sharing: 'strict', fail: { mode: 'closed' } }));
  await checkOwnGates('told', () => gate(rate('log', 100, 1000), { sharing: 'async', fail: { mode: 'closed' } }));
});
