/** Schemas that several routes share. */
import { type Static, type TSchema, Type } from '@sinclair/typebox';

/** Names people and systems give: any printable text, also with slashes, colons and quotes; no control characters. */
export const Name = (description: string, maxLength = 256) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$', description });
export const Reason = Type.Optional(Type.String({ maxLength: 1000, description: 'Why, for the audit log' }));
export const InstantText = (description: string) =>
  Type.String({ minLength: 1, maxLength: 40, description: `${description} (RFC 3339, or a date or time of the zone)` });
export const PageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, description: 'Rows a page; default 1,000' })),
  cursor: Type.Optional(Type.String({ maxLength: 4096, description: 'nextCursor of the page before' })),
};
export const PAGE_DEFAULT = 1000;

export const Page = <T extends TSchema>(item: T) =>
  Type.Object({ items: Type.Array(item), nextCursor: Type.Optional(Type.String()) });

export const ProblemSchema = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String({ description: 'Stable, see docs/reference/errors.md' }),
    hint: Type.String({ description: 'What to do next' }),
    instance: Type.String(),
    pointer: Type.Optional(Type.String({ description: 'JSON pointer into the request' })),
    position: Type.Optional(Type.Integer()),
  },
  { additionalProperties: true },
);

export type PageOf<T extends TSchema> = { items: Static<T>[]; nextCursor?: string };
