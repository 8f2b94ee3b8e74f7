/**
 * Areas: the shards of the suite. A test file belongs to the area with the longest prefix of its source path. Every area
 * has a budget, the seconds its files may take together; a run over budget fails even when every test passed, so that a
 * slow test is noticed by whoever made it slow. Budgets are about three times what was measured on two shared cores.
 */
export interface Area {
  readonly name: string;
  /** Source path prefix from the root of the repository. */
  readonly prefix: string;
  /** Seconds in the short form, and under CI=true. */
  readonly short: number;
  readonly long: number;
}

export const areas: readonly Area[] = [
  { name: 'event', prefix: 'packages/event/src/', short: 10, long: 60 },
  { name: 'agent', prefix: 'packages/agent/src/', short: 120, long: 150 },
  { name: 'client', prefix: 'packages/client/src/', short: 10, long: 30 },
  { name: 'domain', prefix: 'packages/server/src/domain/', short: 45, long: 150 },
  { name: 'store', prefix: 'packages/server/src/store/', short: 110, long: 300 },
  { name: 'ingest', prefix: 'packages/server/src/ingest/', short: 30, long: 150 },
  { name: 'usage', prefix: 'packages/server/src/usage/', short: 60, long: 1000 },
  { name: 'api', prefix: 'packages/server/src/api/', short: 90, long: 120 },
  { name: 'cli', prefix: 'packages/server/src/cli/', short: 45, long: 90 },
  { name: 'throttle', prefix: 'packages/server/src/throttle/', short: 90, long: 240 },
  { name: 'billing', prefix: 'packages/server/src/billing/', short: 100, long: 240 },
  { name: 'server', prefix: 'packages/server/src/', short: 30, long: 90 },
  { name: 'harness', prefix: 'test/harness/', short: 10, long: 30 },
  { name: 'house', prefix: 'test/house', short: 10, long: 30 },
  { name: 'laws', prefix: 'test/laws', short: 10, long: 90 },
  { name: 'field', prefix: 'test/field', short: 10, long: 90 },
  { name: 'alone', prefix: 'test/alone', short: 20, long: 60 },
  { name: 'simulation', prefix: 'test/simulation/', short: 45, long: 400 },
  { name: 'kill', prefix: 'test/scenarios/kill', short: 10, long: 480 },
  { name: 'scenarios', prefix: 'test/scenarios/', short: 90, long: 560 },
  { name: 'bench', prefix: 'bench/', short: 10, long: 60 },
];

export const areaOf = (source: string): Area | undefined =>
  areas
    .filter((area) => source.startsWith(area.prefix))
    .sort((a, b) => b.prefix.length - a.prefix.length)
    .at(0);

/**
 * Areas that took longer than they may, as sentences. `seconds` is by area name. `patience` stretches the budgets on a
 * machine that does other work at the same time; it is 1 on one that is ours.
 */
export const overBudget = (seconds: ReadonlyMap<string, number>, long: boolean, patience = 1): string[] =>
  areas.flatMap((area) => {
    const limit = Math.round((long ? area.long : area.short) * patience);
    const took = seconds.get(area.name) ?? 0;
    return took > limit ? [`area ${area.name} took ${took.toFixed(1)} s, its budget is ${limit} s`] : [];
  });
