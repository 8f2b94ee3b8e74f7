/** Proofs of a world of accounts and invoices, and their verdicts in short. */
import type { BillingWorld } from '../../run/testing/world.ts';
import { type ProofDeps, type Verdict, type VerifyAsk, verify } from '../verify.ts';

export const proofOf = ({ billing, usage }: Pick<BillingWorld, 'billing' | 'usage'>): ProofDeps => ({
  billing,
  meteredAt: (asOf, factsOnly) => usage.meteredAt(asOf, factsOnly),
});

export async function verdicts(deps: ProofDeps, ask: VerifyAsk): Promise<Verdict[]> {
  const out: Verdict[] = [];
  for await (const step of verify(deps, ask)) if (step.kind === 'verdict') out.push(step.verdict);
  return out;
}

/** `INV-000001: equal`, or what differs, from the document down. */
export async function verdictsOf(deps: ProofDeps, ask: VerifyAsk): Promise<string[]> {
  return (await verdicts(deps, ask)).map(
    ({ invoice, deviations }) =>
      `${invoice.number}: ${deviations.length === 0 ? 'equal' : deviations.map(({ level, text }) => `${level}: ${text}`).join(' > ')}`,
  );
}
