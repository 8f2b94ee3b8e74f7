/** Options that several commands share. */
import type { Command } from 'commander';
import { CliError, Exit } from './io.ts';

export const withReason = (command: Command): Command => command.option('--reason <text>', 'why, for the audit log');

/** For changes that can reach into what is final. */
export const adjusting = (command: Command): Command =>
  command.option('--adjust', 'also into a period that has a final invoice: the next one adjusts it');

/** A whole number as it was typed. */
export const wholeOf = (text: string, name: string): number => {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new CliError(Exit.usage, `${name}: ${JSON.stringify(text)} is no whole number`);
};
