/** Says each trouble once, and again when it had gone and came back. */
import type { Trouble } from './poller.ts';

/** More than these in one pass are counted, not listed: a host with 10,000 odd counters has one trouble, not 10,000. */
const LISTED = 20;

export class Troubles {
  #known = new Set<string>();

  /** Those of this pass that the pass before did not have. */
  fresh(all: readonly Trouble[]): Trouble[] {
    const keys = new Set<string>();
    const fresh: Trouble[] = [];
    for (const trouble of all) {
      const key = `${trouble.code}\n${trouble.object}`;
      if (!keys.has(key) && !this.#known.has(key)) fresh.push(trouble);
      keys.add(key);
    }
    this.#known = keys;
    if (fresh.length <= LISTED) return fresh;
    const more = fresh.length - LISTED;
    return [...fresh.slice(0, LISTED), { code: 'more', object: '', message: `${more} more troubles of this pass` }];
  }
}
