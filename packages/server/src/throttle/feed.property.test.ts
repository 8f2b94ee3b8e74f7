/** Whatever comes in whatever order: at rest the feed is what the usage query says, and on the way it never forgets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../usage/testing/random.ts';
import type { Gate } from './engine/types.ts';
import { gate, quotaOf } from './testing/gates.ts';
import { MeteredWorld, NOW } from './testing/metered-world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const long = process.env.CI === 'true';
const seeds = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: long ? 40 : 3 }, (_, i) => i + 1);

const quota = quotaOf(1_000_000_000);
const gates: readonly Gate[] = [
  ...['a', 'b', 'c'].map((account) => gate(quota, { key: 'bytes', feed: 'metered', meter: 'bytes', account })),
  ...['a', 'b'].map((account) => gate(quota, { key: 'net', feed: 'metered', meter: 'network.bytes.sent', account })),
  gate(quota, { key: 'sum', feed: 'metered', meter: 'bytes + calls', account: 'a' }),
  gate(quota, { key: 'sub', feed: 'metered', meter: 'bytes', scope: 'subtree', account: 'root' }),
  gate(quota, { key: 'netsub', feed: 'metered', meter: 'network.bytes.sent', scope: 'subtree', account: 'root' }),
  gate(quota, { key: 'vm', feed: 'metered', meter: 'bytes', scope: 'resource', account: 'b', subject: 'vm-1' }),
  gate(quota, {
    key: 'us',
    feed: 'metered',
    meter: 'bytes',
    scope: { dimension: 'region' },
    account: 'a',
    subject: 'us',
  }),
  gate(quotaOf(1000, 'day'), { key: 'day', feed: 'metered', meter: 'bytes', account: 'a' }),
];

/** A counter of each machine that mostly goes on, and sometimes is reset, is read late, or begins another epoch. */
class Machine {
  value = 0;
  t = NOW - 6 * HOUR;
  boot = 1;
}

class Course {
  readonly random: Random;
  readonly machines = [new Machine(), new Machine(), new Machine()];
  readonly ids: string[] = [];
  world: MeteredWorld;
  /** And the feed has not caught up with it yet. */
  private isCorrected = false;

  constructor(seed: number, world: MeteredWorld) {
    this.random = new Random(seed);
    this.world = world;
  }

  /** True: usage may have become less by it. */
  async step(): Promise<boolean> {
    const { random, world } = this;
    const what = random.below(21);
    if (what < 8) await this.events();
    else if (what < 14) await this.readings();
    else if (what === 14) await this.voidOne();
    else if (what === 15)
      await world.append({
        kind: 'owner',
        resource: 'vm-2',
        account: random.pick(['a', 'c', null]),
        from: this.past(),
      });
    else if (what === 16) await world.usage.job.run();
    else if (what === 17) await world.catchUp();
    else if (what === 20) await this.meanwhile();
    else if (what === 18) world.clock.pass(random.pick([MINUTE, 20 * MINUTE, 3 * HOUR]));
    else await this.restart();
    const mayFall = this.isCorrected || what === 18 || what === 19;
    if (what === 14 || what === 15) this.isCorrected = true;
    if (what === 17 || what === 19 || what === 20) this.isCorrected = false;
    return mayFall || this.isCorrected;
  }

  private past(): number {
    return this.world.clock.at - this.random.below(this.random.pick([MINUTE, HOUR, 20 * HOUR]));
  }

  private async events(): Promise<void> {
    const { random, world } = this;
    const rows = Array.from({ length: random.between(1, 4) }, () => {
      const bytes = random.pick([0, random.below(1000), '0.25', '0.3333']);
      return [this.past(), bytes, random.pick(['eu', 'us'])] as const;
    });
    this.ids.push(...(await world.events(random.below(3), ...rows)));
  }

  private async readings(): Promise<void> {
    const { random, world } = this;
    const vm = random.below(3);
    const machine = this.machines[vm] as Machine;
    machine.t = Math.max(machine.t + 1, world.clock.at - random.below(20 * MINUTE));
    if (random.chance(0.1)) machine.boot++;
    machine.value = random.chance(0.1) ? random.below(50) : machine.value + random.below(1000);
    const late = [machine.t - 1 - random.below(HOUR), Math.max(0, machine.value - random.below(500))] as const;
    const rows = [[machine.t, machine.value] as const, ...(random.chance(0.15) ? [late] : [])];
    await world.readings(
      vm,
      rows.map(([t, value]) => [t, value, `boot-${machine.boot}`] as const),
    );
  }

  /** An answer is under way, and facts come before and after the frontier it is of. */
  private async meanwhile(): Promise<void> {
    const { random, world } = this;
    let open = (): void => {};
    const held = new Promise<void>((resolve) => {
      open = resolve;
    });
    await world.catchUp();
    await world.append({ kind: 'owner', resource: 'nothing', account: 'a', from: 0 });
    if (random.chance(0.5)) world.hold = held;
    else world.gate = held;
    const asked = world.feed.step();
    for (let i = 0; i < 3; i++) await (random.chance(0.5) ? this.events() : this.readings());
    open();
    world.gate = null;
    world.hold = null;
    await asked;
    const before = this.used();
    await world.append({ kind: 'owner', resource: 'nothing', account: 'a', from: 0 });
    await world.catchUp();
    for (const [k, used] of this.used().entries())
      assert.ok(used >= (before[k] ?? 0), `${gates[k]?.limit.key} fell from ${before[k]} to ${used}`);
  }

  private async voidOne(): Promise<void> {
    const id = this.ids.splice(this.random.below(Math.max(1, this.ids.length)), 1)[0];
    if (id === undefined) return;
    const who = { tenant: '', author: 'test', reason: '' };
    await this.world.usage.corrections.voidEvent({ tenant: '', source: 'svc', id }, who);
  }

  private async restart(): Promise<void> {
    this.world = await this.world.restart();
    // Until the first run after it, what came late since the last one waits for that run.
    await this.world.usage.job.run();
    await this.follow();
  }

  async follow(): Promise<void> {
    const missing = (await this.world.feed.ensure(gates, this.world.clock.at)) ?? [];
    assert.deepEqual(missing, []);
  }

  used(): number[] {
    return gates.map((g) => this.world.used(g));
  }
}

for (const seed of seeds)
  test(`the feed is what the usage query says at rest, and does not forget on the way (seed ${seed})`, async () => {
    const course = new Course(seed, await MeteredWorld.open());
    try {
      await course.follow();
      for (let i = 0; i < 60; i++) {
        const before = course.used();
        const mayFall = await course.step();
        await course.follow();
        if (!mayFall)
          for (const [k, used] of course.used().entries())
            assert.ok(
              used >= (before[k] ?? 0),
              `${gates[k]?.limit.key} fell from ${before[k]} to ${used} at step ${i}`,
            );
        if (course.random.chance(0.1)) {
          await course.world.quiet();
          assert.deepEqual(course.used(), await Promise.all(gates.map((g) => course.world.shown(g))), `step ${i}`);
        }
      }
    } finally {
      await course.world.close();
    }
  });
