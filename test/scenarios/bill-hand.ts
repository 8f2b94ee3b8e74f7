/** An invoice's total computed by hand from what `tollgate explain` says of its lines: fractions on paper, nothing else. */
import assert from 'node:assert/strict';

interface Step {
  text: string;
  quantity: string | null;
  price: string | null;
  amount: string;
}
export interface ExplainedLine {
  line: { no: number; kind: string; quantity: string | null; metered: string | null; steps: Step[]; amount: string };
  tax: { percent: string } | null;
}

type Fraction = readonly [bigint, bigint];
const NOTHING: Fraction = [0n, 1n];

function read(text: string): Fraction {
  const [n = '', d] = text.split('/');
  if (d !== undefined) return [BigInt(n), BigInt(d)];
  const [whole = '', part = ''] = n.split('.');
  return [BigInt(whole + part), 10n ** BigInt(part.length)];
}
const sum = ([a, b]: Fraction, [c, d]: Fraction): Fraction => [a * d + c * b, b * d];
const times = ([a, b]: Fraction, [c, d]: Fraction): Fraction => [a * c, b * d];
const isSame = ([a, b]: Fraction, [c, d]: Fraction): boolean => a * d === c * b;

/** Cents, half up; of what is taken back as of what is charged. */
const cents = ([n, d]: Fraction): bigint => (n < 0n ? -cents([-n, d]) : (2n * n * 100n + d) / (2n * d));
const text = (minor: bigint): string => {
  const digits = (minor < 0n ? -minor : minor).toString().padStart(3, '0');
  return `${minor < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
};

/** Steps add up; what earlier parts of the month cost is rounded by itself, as it was on their lines. */
function lineByHand({ no, kind, quantity, metered, steps }: ExplainedLine['line']): bigint {
  const told = `line ${no}: ${JSON.stringify(steps)}`;
  let [here, before, total, units] = [NOTHING, NOTHING, 0n, NOTHING];
  for (const step of steps) {
    const amount = read(step.amount);
    if (step.text.startsWith('billed on ')) total += cents(amount);
    else if (step.text === 'due by now') {
      assert.equal(cents(amount), cents(here) + cents(before), told);
      total += cents(amount);
      [here, before] = [NOTHING, NOTHING];
    } else if (step.text.startsWith('less what earlier parts')) before = sum(before, amount);
    else {
      if (step.quantity !== null && step.price !== null) {
        assert.ok(isSame(times(read(step.quantity), read(step.price)), amount), `${step.text} of ${told}`);
      }
      if (step.quantity !== null) units = sum(units, read(step.quantity));
      here = sum(here, amount);
    }
  }
  // Kilobytes: what was metered, by a thousand; of a later part of the month the steps are of the whole month so far.
  if (kind === 'usage' && metered !== null) {
    assert.ok(isSame(times(read(metered), [1n, 1000n]), read(quantity ?? '')), told);
    if (before === NOTHING) assert.ok(isSame(units, read(quantity ?? '')), told);
  }
  return total + cents(here) + cents(before);
}

/** Lines, their sum, its tax: the total as it has to stand on the paper. */
export function byHand(explained: readonly ExplainedLine[]): string {
  let net = 0n;
  for (const { line } of explained) {
    const amount = lineByHand(line);
    assert.equal(text(amount), line.amount, JSON.stringify(line));
    net += amount;
  }
  const percents = new Set(explained.map(({ tax }) => tax?.percent ?? ''));
  assert.equal(percents.size, 1, 'one rate for all');
  const [percent = '0'] = percents;
  return text(net + cents(times([net, 100n], times(read(percent), [1n, 100n]))));
}
