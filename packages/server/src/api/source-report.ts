/** What an agent says of itself: how much waits in its spool, and what it lost, which is unobserved from then on. */
import { type Static, Type } from '@sinclair/typebox';
import type { UnobservedFact } from '../domain/control-fact.ts';
import { SKEW_LIMIT_MS } from '../domain/stamp.ts';
import { Problem } from '../errors.ts';
import type { Author } from '../store/control-log.ts';
import type { Context } from './context.ts';
import { instantOf } from './time.ts';

export const SourceReport = Type.Object(
  {
    spoolDepth: Type.Optional(Type.Integer({ minimum: 0 })),
    lost: Type.Optional(
      Type.Array(
        Type.Object({
          from: Type.String({ description: 'RFC 3339' }),
          to: Type.String(),
          records: Type.Optional(Type.Integer({ minimum: 0, description: 'Measurements known to be gone' })),
          reason: Type.Optional(Type.String({ maxLength: 256 })),
        }),
        { maxItems: 1000, description: 'What it could not see or could not keep; none of it may end in the future' },
      ),
    ),
  },
  { additionalProperties: false },
);

/** Of the source in the author's tenant. Throws Problem for what cannot have been lost; resolves when it is stored. */
export const takeReport = async (
  context: ReportContext,
  author: Author,
  source: string,
  { spoolDepth, lost = [] }: Static<typeof SourceReport>,
): Promise<void> => {
  const { facts, reasons } = lostFacts(context, author.tenant, source, lost);
  if (spoolDepth !== undefined) keepDepth(context.spools, JSON.stringify([author.tenant, source]), spoolDepth);
  if (facts.length > 0) await context.log.append(facts, author, reasons);
};

export type ReportContext = Pick<Context, 'log' | 'clock' | 'spools'>;

/** Sources whose depth of spool is kept. */
const SPOOLS_MAX = 100_000;

/** The one told last stands at the end, so that of too many those go first that have been silent for longest. */
const keepDepth = (spools: Context['spools'], name: string, depth: number): void => {
  spools.delete(name);
  spools.set(name, depth);
  for (const oldest of spools.keys()) {
    if (spools.size <= SPOOLS_MAX) break;
    spools.delete(oldest);
  }
};

type Lost = NonNullable<Static<typeof SourceReport>['lost']>[number];

/** What of it is new: an agent says it again after a lost answer, and once is enough. Throws for what cannot have been lost. */
const lostFacts = (
  context: ReportContext,
  tenant: string,
  source: string,
  lost: readonly Lost[],
): { facts: UnobservedFact[]; reasons: string[] } => {
  const known = new Set(context.log.book.lostBy(tenant, source).map(({ from, to }) => `${from}-${to}`));
  const facts: UnobservedFact[] = [];
  const reasons: string[] = [];
  for (const [i, { reason = 'lost', records, ...interval }] of lost.entries()) {
    const pointer = `/lost/${i}`;
    const [from, to] = [instantOf(interval.from, `lost/${i}/from`), instantOf(interval.to, `lost/${i}/to`)];
    if (from >= to) throw new Problem('request.invalid', 'An interval ends after it begins.', { pointer });
    if (to > context.clock.now() + SKEW_LIMIT_MS) throw notYet(`${pointer}/to`, interval.to);
    if (known.has(`${from}-${to}`)) continue;
    known.add(`${from}-${to}`);
    facts.push({ kind: 'unobserved', series: null, source, from, to });
    reasons.push(records === undefined ? reason : `${reason}, ${records} records`);
  }
  return { facts, reasons };
};

const notYet = (pointer: string, to: string): Problem => {
  const detail = `The interval ends at ${to}, which is still to come: nothing can be lost by then. Is the sender's clock right?`;
  return new Problem('request.invalid', detail, { pointer });
};
