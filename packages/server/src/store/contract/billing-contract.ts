/** What the books of every control store must do, as tests. As control-contract.ts; apart from it, so that neither takes long. */
import { suite, test } from 'node:test';
import { documentCases } from './billing-documents.ts';
import { ledgerCases } from './billing-ledger.ts';
import { billingRunCases } from './billing-runs.ts';
import type { ControlFixture } from './control-cases.ts';

export function billingContract(name: string, open: () => Promise<ControlFixture>): void {
  suite(`${name} as the books`, { concurrency: 4 }, () => {
    for (const [sentence, run] of Object.entries({ ...documentCases, ...ledgerCases, ...billingRunCases }))
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
