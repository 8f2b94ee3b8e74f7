/** What every change of plans and limits shares: one at a time, spans of time as people give and end them, flaws told. */
import { Type } from '@sinclair/typebox';
import type { Span } from '../domain/limit/catalogue-fact.ts';
import { type Flaw, flawText } from '../domain/limit/located.ts';
import type { Instant } from '../domain/window.ts';
import { Problem } from '../errors.ts';
import type { Context } from './context.ts';
import type { App } from './provider.ts';
import { InstantText, Reason } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

/** Runs changes one after another: what a change was checked against still holds when it is written. */
export type Turn = <T>(work: () => Promise<T>) => Promise<T>;
export const newTurn = (): Turn => {
  let tail: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = tail.then(work);
    tail = next.catch(() => undefined);
    return next;
  };
};

export const SpanQuery = {
  from: Type.Optional(InstantText('First instant; now when left away')),
  to: Type.Optional(InstantText('One past the last; without end when left away')),
};
export const EndQuery = Type.Object({
  at: Type.Optional(InstantText('When it ends; now when left away')),
  from: Type.Optional(InstantText('Only the one that begins then; also calls off one that has not begun')),
  reason: Reason,
});
export const Times = {
  from: Type.String(),
  to: Type.Optional(Type.String({ description: 'Left away: without end' })),
  state: Type.String({ description: 'scheduled, current or ended' }),
};

/** Where the instants of a request are read in: the zone of the account. */
export const zoneOf = (context: Pick<Context, 'log'>, account: string): string =>
  context.log.book.account(account)?.zone ?? 'UTC';

/** Throws a Problem when `to` does not lie after `from`. */
export const spanOf = (asked: { from?: string; to?: string }, now: Instant, zone: string): Span => {
  const from = asked.from === undefined ? now : instantOf(asked.from, 'from', zone);
  const to = asked.to === undefined ? null : instantOf(asked.to, 'to', zone);
  if (to !== null && to <= from) throw new Problem('query.range', 'to must lie after from', { pointer: '/to' });
  return { from, to };
};

export const timesOf = ({ from, to }: Span, now: Instant): { from: string; to?: string; state: string } => ({
  from: isoText(from),
  ...(to === null ? {} : { to: isoText(to) }),
  state: to !== null && (to <= now || to === from) ? 'ended' : from > now ? 'scheduled' : 'current',
});

/** The spans to write again so that none of them reaches beyond `at`; with `from`, only the one that begins then. */
export const endedAt = <S extends Span>(
  spans: Iterable<S>,
  asked: { at?: string | undefined; from?: string | undefined },
  now: Instant,
  zone: string,
): S[] => {
  const at = asked.at === undefined ? now : instantOf(asked.at, 'at', zone);
  const only = asked.from === undefined ? null : instantOf(asked.from, 'from', zone);
  const open = [...spans].filter((s) => s.to === null || s.to > Math.max(at, s.from));
  const chosen = open.filter((s) => (only === null ? s.from <= at : s.from === only));
  return chosen.map((s) => ({ ...s, to: Math.max(at, s.from) }));
};

export const refuse = (code: 'plan.invalid' | 'limit.invalid' | 'billing.invalid', flaws: readonly Flaw[]): never => {
  throw new Problem(code, flaws.map(flawText).join('\n'), { pointer: pointerOf(flaws[0]?.path ?? '') });
};

/** `plans[0].key` as a JSON pointer. */
const pointerOf = (path: string): string =>
  path === '' ? '' : `/${path.replace(/\[(\d+)\]/g, '/$1').replaceAll('.', '/')}`;

/** In the given scope bodies are texts: YAML and JSON are read with their places and without losing a digit. */
export const readTexts = (scope: App): void => {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    ['application/yaml', 'application/x-yaml', 'text/yaml', 'text/plain', 'application/json'],
    { parseAs: 'string' },
    (_request, body, done) => done(null, body),
  );
};
/** For the description alone: the text is judged by what reads it. */
export const TextBody = {
  content: { 'application/yaml': { schema: Type.String() }, 'application/json': { schema: Type.Unknown() } },
};
