/**
 * What every usage store must do, as tests. `open` gives an empty store; the cases of one engine run one after another,
 * because chDB holds one directory a process.
 */
import { suite, test } from 'node:test';
import { usageBilledCases } from './usage-billed.ts';
import type { UsageFixture } from './usage-cases.ts';
import { usageCounterCases } from './usage-counters.ts';
import { usageFactCases } from './usage-facts.ts';
import { usageNumberCases } from './usage-numbers.ts';
import { usageSpanCases } from './usage-spans.ts';
import { usageTallyCases } from './usage-tallies.ts';

export function usageContract(name: string, open: () => Promise<UsageFixture>): void {
  suite(`${name} as a usage store`, { concurrency: 1 }, () => {
    for (const [sentence, run] of Object.entries({
      ...usageFactCases,
      ...usageNumberCases,
      ...usageCounterCases,
      ...usageTallyCases,
      ...usageBilledCases,
      ...usageSpanCases,
    }))
      test(sentence, async () => {
        const fixture = await open();
        try {
          await run(fixture);
        } finally {
          await fixture.drop();
        }
      });
  });
}
