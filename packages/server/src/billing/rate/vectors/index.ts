/** Rates a vector: what a source expects, and what our rating makes of the same input. */
import { CalendarError } from '../../../domain/calendar.ts';
import { MoneyError } from '../../../domain/money/money.ts';
import { RatioError } from '../../../domain/money/ratio.ts';
import { QuantityError } from '../../../domain/quantity.ts';
import { RateError } from '../rate-error.ts';
import * as credits from './credits.ts';
import { sameFigures } from './figures.ts';
import { Fields, type Json, VectorError } from './input.ts';
import * as periods from './periods.ts';
import * as usage from './usage.ts';

export type { Json } from './input.ts';

const models: Readonly<Record<string, (input: Fields) => usage.Figures>> = {
  attribute_mapping: credits.tariff,
  calendar_days: periods.calendarDays,
  credit_burn_down: credits.creditBurnDown,
  credit_cap: credits.cap,
  credit_rollover: credits.creditRollover,
  credits: usage.graduated,
  discount: credits.coupon,
  dynamic: usage.dynamic,
  flat: periods.flat,
  graduated: usage.graduated,
  graduated_blocks: usage.blocks,
  graduated_percentage: usage.graduatedPercentage,
  maximum_spend: usage.perUnit,
  minimum_commitment: periods.minimum,
  minimum_spend: (input) => (input.has('unit_amount') ? usage.perUnit(input) : periods.minimum(input)),
  package: usage.packaged,
  per_unit: usage.perUnit,
  percentage: usage.percentage,
  plan_change: periods.planChange,
  prorated_graduated: periods.proratedTiers,
  proration: periods.proration,
  rerating_delta: usage.blocks,
  threshold: credits.tariff,
  time_weighted_sum: periods.timeWeighted,
  unit_conversion: usage.conversion,
  usage_discount: usage.usageDiscount,
  volume: usage.volume,
  volume_blocks: usage.blocks,
};

/** `error`: it could not be rated, and why; then `computed` is null and `equal` false. */
export interface RatedVector {
  id: string;
  computed: Json;
  expected: Json;
  equal: boolean;
  error?: string;
}

export function rateVector(vector: Json): RatedVector {
  let id = '';
  let expected: Json = null;
  try {
    const fields = new Fields(vector, 'the vector');
    id = fields.text('id');
    expected = fields.raw('expected') ?? null;
    const computed = computedBy(fields);
    return { id, computed, expected, equal: sameFigures(computed, expected) };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return { id, computed: null, expected, equal: false, error: error.message };
  }
}

const isRefusal = (error: unknown): error is Error =>
  [VectorError, RateError, RatioError, QuantityError, MoneyError, CalendarError].some((kind) => error instanceof kind);

/** The figures that the vector expects, and no others. */
function computedBy(vector: Fields): Json {
  const name = vector.text('model');
  const model = Object.hasOwn(models, name) ? models[name] : undefined;
  if (model === undefined) throw new VectorError(`no model ${name}; there are: ${Object.keys(models).join(', ')}`);
  const expected = vector.object('expected');
  const input = vector.object('input');
  if (expected.has('error')) return refusalOf(model, input);
  const figures = model(input);
  const computed: Record<string, Json> = {};
  for (const figure of expected.names()) {
    const value = Object.hasOwn(figures, figure) ? figures[figure] : undefined;
    if (value === undefined) throw new VectorError(`the model ${name} has no figure ${figure}`);
    computed[figure] = typeof value === 'function' ? value(expected.raw(figure) ?? null) : value;
  }
  return computed;
}

/** A vector that expects to be refused: by what it was, or what came out instead. */
function refusalOf(model: (input: Fields) => usage.Figures, input: Fields): Json {
  const computed: Record<string, Json> = {};
  try {
    for (const [name, value] of Object.entries(model(input)))
      computed[name] = typeof value === 'function' ? value(null) : value;
  } catch (error) {
    if (error instanceof RateError) return { error: error.message };
    throw error;
  }
  return computed;
}
