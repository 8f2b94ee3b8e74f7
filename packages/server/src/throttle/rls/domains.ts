/** The rate limit domains in force, compiled once a configuration. */
import type { Receipt } from '../../domain/fact.ts';
import type { LimitBook } from '../../domain/limit/catalogue.ts';
import type { Domain } from './domain.ts';
import { importEnvoy } from './envoy-config.ts';

export class Domains {
  private readonly book: () => LimitBook;
  private readonly compiled = new Map<string, { receipt: Receipt; domain: Domain | undefined }>();

  constructor(book: () => LimitBook) {
    this.book = book;
  }

  get(name: string): Domain | undefined {
    const given = this.book().catalogue.rlsDomains.get(name);
    if (given === undefined) return undefined;
    const known = this.compiled.get(name);
    if (known?.receipt === given.receipt) return known.domain;
    // A text that was refused never becomes a fact; one that an older version took and this one does not limits nothing.
    const domain = importEnvoy(given.text, given.receipt).domain ?? undefined;
    this.compiled.set(name, { receipt: given.receipt, domain });
    return domain;
  }
}
