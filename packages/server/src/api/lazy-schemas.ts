/**
 * Schemas compiled when they are first used. All of them at once were most of what starting a server took, and a server
 * is asked a few routes at first. A schema that cannot be compiled would be found late: a test checks and compiles every one.
 */
import { createRequire } from 'node:module';
import type { FastifyServerOptions } from 'fastify';

type SchemaController = NonNullable<FastifyServerOptions['schemaController']>;
export interface SchemaHandling {
  schemaController: SchemaController;
  /** Whether each schema is first checked against the schema of schemas, whose own compilation takes longest of all. */
  validateSchema: boolean;
}
type Factories = NonNullable<SchemaController['compilersFactory']>;
/** A validator or a serializer. */
type Compiled = (...given: unknown[]) => unknown;
type Factory = (schemas: unknown, options: unknown) => (route: unknown) => Compiled;

/** Fastify's own compilers, found from Fastify, because npm may nest them below it. */
const fromFastify = createRequire(createRequire(import.meta.url).resolve('fastify'));
const validators = fromFastify('@fastify/ajv-compiler') as () => Factory;
const serializers = fromFastify('@fastify/fast-json-stringify-compiler') as () => Factory;

const once = <T>(make: () => T): (() => T) => {
  let made: { it: T } | undefined;
  return () => {
    made ??= { it: make() };
    return made.it;
  };
};

/** Fastify reads what was wrong from a validator, and whether it may take the place of a value. */
const READ = ['errors', 'schemaEnv'] as const;

const lazily =
  (factory: Factory): Factory =>
  (schemas, options) => {
    const compile = factory(schemas, options);
    return (route) => {
      const compiled = once(() => compile(route));
      const lazy: Compiled = (...given) => compiled()(...given);
      for (const name of READ) Object.defineProperty(lazy, name, { get: () => Reflect.get(compiled(), name) });
      return lazy;
    };
  };

export const compiledWhenUsed = (): SchemaHandling => ({
  schemaController: {
    compilersFactory: { buildValidator: lazily(validators()), buildSerializer: lazily(serializers()) } as Factories,
  },
  validateSchema: false,
});
