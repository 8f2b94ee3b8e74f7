/** What lists by account have in common: whose rows a key sees, and pages of them, newest first. */
import { Type } from '@sinclair/typebox';
import { asking, type Context, reach } from './context.ts';
import { readCursor, writeCursor } from './cursor.ts';
import { PAGE_DEFAULT, PageQuery } from './schemas.ts';

/** Accounts to show: one that was asked for, or all within reach; undefined for all there are. */
export const accountsFor = (
  context: Context,
  request: Parameters<typeof asking>[1],
  account: string | undefined,
): readonly string[] | undefined => {
  const { who, viewer } = asking(context, request, 'read');
  if (account === undefined) return viewer === null ? undefined : [...viewer];
  reach(context, who, account);
  return [account];
};

export const ListQuery = { account: Type.Optional(Type.String({ maxLength: 256 })), ...PageQuery };

/** A page of rows by id, newest first. */
export const pageById = async <R extends { id: number }, T>(
  asked: { limit?: number | undefined; cursor?: string | undefined },
  read: (page: { before?: number; limit: number }) => Promise<R[]>,
  row: (found: R) => T,
): Promise<{ items: T[]; nextCursor?: string }> => {
  const limit = asked.limit ?? PAGE_DEFAULT;
  const before = asked.cursor === undefined ? {} : { before: Number(readCursor(asked.cursor, ['number'])[0]) };
  const found = await read({ ...before, limit });
  const last = found.at(-1);
  return {
    items: found.map(row),
    ...(last !== undefined && found.length === limit ? { nextCursor: writeCursor([last.id]) } : {}),
  };
};
