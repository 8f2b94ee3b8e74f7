/** Meters whose usage decides on calls: what is committed of them is told at once. */
import type { Catalogue } from './catalogue.ts';
import { type LimitDefinition, metersOf } from './limit.ts';

/** Looked up again only when the catalogue has moved. */
export function watching(book: () => { catalogue: Catalogue }): () => ReadonlySet<string> {
  let known: { at: number; meters: ReadonlySet<string> } = { at: -1, meters: new Set() };
  return () => {
    const { catalogue } = book();
    if (known.at !== catalogue.at) known = { at: catalogue.at, meters: watchedMeters(catalogue) };
    return known.meters;
  };
}

/** Of all versions of all plans: which one holds depends on the instant that is asked about. */
export function watchedMeters(catalogue: Catalogue): Set<string> {
  const found = new Set<string>();
  const add = ({ feed, meter }: Pick<LimitDefinition, 'feed' | 'meter'>): void => {
    if (feed === 'metered') for (const key of metersOf(meter)) found.add(key);
  };
  for (const { limits } of catalogue.allVersions()) for (const limit of limits) add(limit);
  for (const { limit } of catalogue.allLimits()) add(limit);
  return found;
}
