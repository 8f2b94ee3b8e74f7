/** Types of requests from their TypeBox schemas: what @fastify/type-provider-typebox does, in the ten lines we need. */
import type { Static, TSchema } from '@sinclair/typebox';
import { Type } from '@sinclair/typebox';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyTypeProvider,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';

export interface TypeBoxProvider extends FastifyTypeProvider {
  validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown;
  serializer: this['schema'] extends TSchema ? Static<this['schema']> : unknown;
}

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxProvider
>;

/** `{ type: [T, 'null'] }`: OpenAPI 3.1's way, and the serializer takes it without trying each branch of an anyOf. */
export const NullableText = (options: Record<string, unknown> = {}) =>
  Type.Unsafe<string | null>({ type: ['string', 'null'], ...options });
export const NullableNumber = (options: Record<string, unknown> = {}) =>
  Type.Unsafe<number | null>({ type: ['number', 'null'], ...options });
export const NullableFlag = (options: Record<string, unknown> = {}) =>
  Type.Unsafe<boolean | null>({ type: ['boolean', 'null'], ...options });
/** One of a few words, as an enum and not as an anyOf of constants. */
export const Words = <T extends string>(words: readonly T[], options: Record<string, unknown> = {}) =>
  Type.Unsafe<T>({ type: 'string', enum: [...words], ...options });
