/** The migrations in order; the number of a layout is how many have run. Append only. */
import { tables } from './001-tables.ts';
import { facts } from './002-facts.ts';

export const migrations: readonly (readonly string[])[] = [tables, facts];
