/**
 * What agents say of the resources they report on, as control facts. A name, and the tag of a resource nobody knows yet,
 * anyone may say. Everything else only the installation's own agents: a tenant's key would otherwise take its own traffic
 * off the bill, or fill the log of control facts with a tag that changes with every batch.
 */
import type { ResourceHint } from '@tollgate/event';
import type { Book } from './domain/book.ts';
import type { ControlBody, ResourceFact } from './domain/control-fact.ts';
import { trafficTypes } from './domain/series.ts';
import type { ControlLog } from './store/control-log.ts';

export async function declareResources(
  log: ControlLog,
  tenant: string,
  source: string,
  hints: readonly ResourceHint[],
): Promise<void> {
  const bodies = hints.flatMap((hint) => factsOf(log.book, tenant, hint));
  if (bodies.length > 0) await log.append(bodies, { tenant, author: source, reason: 'told with its readings' });
}

/**
 * Only what is not known already: an agent says all it knows at every start, and others in every batch. What is known
 * costs a look into the book and nothing else.
 */
export function factsOf(book: Book, tenant: string, hint: ResourceHint): ControlBody[] {
  const trusted = tenant === '';
  const known = book.resource(tenant, hint.id);
  const type = trafficTypes.find((t) => t === hint.trafficType);
  const told: ResourceFact = {
    kind: 'resource',
    id: hint.id,
    trafficType: (trusted ? type : undefined) ?? known?.trafficType ?? null,
    tag: (trusted || known === undefined ? hint.tag : undefined) ?? known?.tag ?? '',
    billable: (trusted ? hint.billable : undefined) ?? known?.billable ?? null,
    name: known?.name || hint.name || '',
  };
  const out: ControlBody[] = [];
  if (known === undefined || differs(known, told)) out.push(told);
  // An entry that changes something may change what holds at the later ones, so those are said again.
  let changed = false;
  for (const { account, from } of trusted ? (hint.owners ?? []) : []) {
    // An account nobody made yet: the resource stays unattributed, and the agent says it again.
    if (account !== null && book.account(account) === undefined) continue;
    changed ||= book.ownerAt(tenant, hint.id, from) !== account;
    if (changed) out.push({ kind: 'owner', resource: hint.id, account, from });
  }
  return out;
}

const differs = (a: Omit<ResourceFact, 'kind'>, b: ResourceFact): boolean =>
  a.trafficType !== b.trafficType || a.tag !== b.tag || a.billable !== b.billable || a.name !== b.name;
