/** The books in PostgreSQL. */
import type { BillingStore } from '../billing-store.ts';
import { changing } from './billing-change.ts';
import { drafts } from './billing-drafts.ts';
import { finalising } from './billing-finalise.ts';
import { creditReads, documents, ledgerReads } from './billing-reads.ts';
import { billingRuns } from './billing-runs.ts';
import type { Database } from './database.ts';

export const billing = (db: Database): BillingStore => ({
  ...finalising(db),
  ...documents(db),
  ...drafts(db),
  ...changing(db),
  ...ledgerReads(db),
  ...creditReads(db),
  ...billingRuns(db),
});
