/** Fee charges of one account's period. */
import type { Conventions } from '../../domain/billing/conventions.ts';
import { dateAt } from '../../domain/calendar.ts';
import type { FeePrice } from '../../domain/price/price.ts';
import type { Instant, Interval } from '../../domain/window.ts';
import type { BilledPeriod } from '../rate/index.ts';
import { type FeeCharge, keyOf } from './charge.ts';
import type { Scope } from './frames.ts';
import type { Holding } from './history.ts';
import { gridAt, sameTerms } from './period.ts';
import { countedFrom, isFee, type Piece, piecesOf } from './pieces.ts';

/** Of a period that is still ahead only what is paid in advance. */
export function feeChargesOf(scope: Scope, conventions: Conventions): FeeCharge[] {
  const same = (a: Piece<FeePrice>, b: Piece<FeePrice>): boolean =>
    sameTerms(a.holding.calendar, b.holding.calendar) && !(b.holding.begins && isOnce(b));
  return piecesOf(scope, isFee, same)
    .filter(({ price }) => scope.stage === 'ended' || price.term === 'advance')
    .flatMap((piece) => (isOnce(piece) ? onceCharge(scope, piece) : periodCharges(scope, piece, conventions)));
}

const isOnce = ({ price }: Piece<FeePrice>): boolean => price.per === 'once';

/** Due where the subscription begins to cost something, in full. */
function onceCharge(scope: Scope, piece: Piece<FeePrice>): FeeCharge[] {
  const begins = piece.holding.begins && piece.from === Math.max(piece.holding.from, piece.price.from ?? 0);
  if (!begins) return [];
  const period = billedPeriod(piece, piece, scope.period.calendar.zone);
  return [feeCharge(scope, piece, `once ${piece.from}`, { period, part: { ...period }, waived: null })];
}

/** One for each period of the plan's own grid: they are those of the account but after a change to another grid. */
function periodCharges(scope: Scope, piece: Piece<FeePrice>, conventions: Conventions): FeeCharge[] {
  const { calendar } = piece.holding;
  const onOwnGrid = !sameTerms(calendar, scope.period.calendar);
  const charges: FeeCharge[] = [];
  for (let from = piece.from; from < piece.to; ) {
    const grid = onOwnGrid ? gridAt(calendar, from) : scope.period.whole;
    const to = Math.min(piece.to, Math.max(grid.to, from + 1));
    const charge = partCharge(scope, { ...piece, from, to }, grid, onOwnGrid, conventions);
    if (charge !== null) charges.push(charge);
    from = to;
  }
  return charges;
}

function partCharge(
  scope: Scope,
  piece: Piece<FeePrice>,
  grid: Interval,
  onOwnGrid: boolean,
  conventions: Conventions,
): FeeCharge | null {
  const { holding, price, to } = piece;
  const leading = scope.period.leading && !onOwnGrid && scope.period.calendar.align === 'calendar';
  const whole = leading && conventions.leadingPart === 'full' ? { from: scope.period.from, to: grid.to } : grid;
  if (!price.prorate && !holding.trial && hadBefore(scope, piece, grid.from)) return null;
  const from = Math.max(
    whole.from,
    onOwnGrid ? startOfHolding(holding, grid, piece.from) : countedFrom(scope, piece.from),
  );
  const waived = holding.trial ? 'trial' : leading && conventions.leadingPart === 'free' ? 'leading' : null;
  const { zone } = onOwnGrid ? holding.calendar : scope.period.calendar;
  const period = billedPeriod(piece, whole, zone);
  return feeCharge(scope, piece, '', { period, part: { from, to }, waived });
}

/** On the day that the grid begins with the subscription, from that day's midnight. */
function startOfHolding({ calendar }: Holding, grid: Interval, from: Instant): Instant {
  const [a, b] = [dateAt(calendar.zone, grid.from), dateAt(calendar.zone, from)];
  return a.day === b.day && a.month === b.month && a.year === b.year ? grid.from : from;
}

/** A fee that any part pays in full was paid by an earlier part of the same period. */
const hadBefore = ({ history }: Scope, { holding, price, from }: Piece<FeePrice>, since: Instant): boolean =>
  history.holdings.some(
    (h) =>
      !h.trial &&
      h.from < from &&
      h.to > since &&
      h.plan.key === holding.plan.key &&
      (h.addOn === null) === (holding.addOn === null) &&
      h.plan.billing.prices.some((p) => p.key === price.key && p.kind === 'fee' && !p.prorate),
  );

const billedPeriod = ({ holding }: Piece, { from, to }: Interval, zone: string): BilledPeriod => {
  const { unit, count } = holding.plan.billing.period;
  return { from, to, unit, count, zone };
};

function feeCharge(
  scope: Scope,
  piece: Piece<FeePrice>,
  kind: string,
  { period, part, waived }: Pick<FeeCharge, 'period' | 'part' | 'waived'>,
): FeeCharge {
  const { holding, price, from, to } = piece;
  const { account, plan, quantity } = holding;
  return {
    key: keyOf(scope, piece, kind),
    account,
    plan: plan.key,
    planVersion: plan.version,
    receipt: plan.receipt,
    scope,
    holding,
    price,
    from,
    to,
    quantity,
    period,
    part,
    waived,
  };
}
