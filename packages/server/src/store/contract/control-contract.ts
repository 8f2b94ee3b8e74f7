/**
 * What every control store must do, as tests. A further engine is run through them by calling controlContract with a way
 * to open it: `open` gives an empty store, `again` another handle on the same data (a restart, or another server).
 */
import { suite, test } from 'node:test';
import type { ControlFixture } from './control-cases.ts';
import { factCases } from './control-facts.ts';
import { grantCases } from './control-grants.ts';
import { jobCases } from './control-job.ts';
import { leaseCases } from './control-leases.ts';
import { noticeCases } from './control-notices.ts';
import { registryCases } from './control-registry.ts';

export function controlContract(name: string, open: () => Promise<ControlFixture>): void {
  suite(`${name} as a control store`, { concurrency: 4 }, () => {
    for (const [sentence, run] of Object.entries({
      ...factCases,
      ...registryCases,
      ...jobCases,
      ...grantCases,
      ...leaseCases,
      ...noticeCases,
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
