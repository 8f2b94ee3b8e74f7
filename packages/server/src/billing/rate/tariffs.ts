/**
 * Tariffs by attributes of a resource, as CloudKitty's hashmap has them: mappings of values and thresholds of levels, in
 * groups. Within a group flat amounts take the highest and rates multiply; groups add up.
 */
import { add, compare, max, multiply, ONE, type Ratio, ZERO } from '../../domain/money/ratio.ts';

export interface TariffRule {
  group: string;
  /** Null: of the service as a whole. */
  field: string | null;
  /** The value that the field must have; null for a threshold, or a rule of the service. */
  value: string | null;
  /** Of a threshold: the least value of the field, or of the quantity. The highest one that is reached rules. */
  level: Ratio | null;
  type: 'flat' | 'rate';
  cost: Ratio;
}

export interface TariffResource {
  attributes: Readonly<Record<string, string>>;
  /** An attribute as a number; null when it is none. */
  numberOf(name: string): Ratio | null;
  quantity: Ratio;
}

/**
 * A threshold of the service is chosen by the quantity and is not multiplied by it; one of a field is, like mappings are.
 */
export function tariffPrice(rules: readonly TariffRule[], resource: TariffResource): Ratio {
  const groups = new Map<string, TariffRule[]>();
  for (const rule of rules) groups.set(rule.group, [...(groups.get(rule.group) ?? []), rule]);
  return [...groups.values()].reduce((sum, group) => add(sum, groupPrice(group, resource)), ZERO);
}

function groupPrice(rules: readonly TariffRule[], resource: TariffResource): Ratio {
  const mappings = rules.filter((rule) => rule.level === null && matches(rule, resource));
  let flat = mappings.filter(({ type }) => type === 'flat').reduce((high, { cost }) => max(high, cost), ZERO);
  let rate = mappings.filter(({ type }) => type === 'rate').reduce((product, { cost }) => multiply(product, cost), ONE);
  const threshold = reached(rules, resource);
  if (threshold !== null && threshold.field !== null) {
    if (threshold.type === 'flat') flat = add(flat, threshold.cost);
    else rate = multiply(rate, threshold.cost);
  }
  const price = multiply(multiply(flat, rate), resource.quantity);
  if (threshold === null || threshold.field !== null) return price;
  return threshold.type === 'flat' ? add(price, threshold.cost) : multiply(price, threshold.cost);
}

const matches = ({ field, value }: TariffRule, { attributes }: TariffResource): boolean =>
  field === null || attributes[field] === value;

/** Of the thresholds that are reached the one with the highest level. */
function reached(rules: readonly TariffRule[], resource: TariffResource): TariffRule | null {
  let best: TariffRule | null = null;
  for (const rule of rules) {
    const value = rule.field === null ? resource.quantity : resource.numberOf(rule.field);
    if (rule.level === null || value === null || compare(value, rule.level) < 0) continue;
    if (best?.level == null || compare(rule.level, best.level) > 0) best = rule;
  }
  return best;
}
