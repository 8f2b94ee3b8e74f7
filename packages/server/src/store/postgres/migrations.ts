/** All migrations in order. A migration that has been released is never changed: the next one changes the tables. */
import * as control from './migrations/0001-control.ts';
import * as grants from './migrations/0002-grants.ts';
import * as notices from './migrations/0003-notices.ts';
import * as billing from './migrations/0004-billing.ts';
import * as leases from './migrations/0005-leases.ts';
import * as billedAccounts from './migrations/0006-billed-accounts.ts';

export interface Migration {
  name: string;
  sql: string;
}

export const MIGRATIONS: readonly Migration[] = [control, grants, notices, billing, leases, billedAccounts];

/** Every table has a tenant column, except these, each for its reason. */
const reasons = {
  migration: 'about the schema itself',
  meta: 'about the store itself',
  receipt_counter: 'one sequence for the whole installation: receipts order facts of all tenants',
  series_group: 'counts ids; a group holds series of many tenants',
  epoch: 'belongs to a series, which has a tenant',
  lease: "the job's own state, by group of series",
  progress: "the job's own state, by group of series",
  run: "the job's own state, by group of series",
  invoice_number: 'numbers of an entity run over all its accounts',
  billing_run: 'one pass over all accounts',
} as const;

export const TABLES_WITHOUT_TENANT: readonly string[] = Object.keys(reasons);
