/** What is wrong with prices is told at its place: each `@` in a text is where the next message points to. */
import { test } from 'node:test';
import { checkRefused, planText } from '../testing/priced-plan.ts';

/** Rows `PRICE => message | message`, for the first price; its fields, or the whole of it in braces. */
const refused = (table: string) => {
  for (const row of table.trim().split('\n')) {
    const [text = '', told = ''] = row.trim().split(/\s+=> ?/);
    const messages = told.split(' | ').map((m) => `prices[0]${/^[ :]/.test(m) || m.startsWith('[') ? '' : '.'}${m}`);
    checkRefused(planText([text.trim()]), told === '' ? [] : messages);
  }
};
/** Rows `LINE; LINE => message` of the lines of `billing` above its prices. */
const refusedTerms = (table: string) => {
  for (const row of table.trim().split('\n')) {
    const [text = '', told = ''] = row.trim().split(/\s+=> ?/);
    checkRefused(planText([], text.split('; ')), told === '' ? [] : [told]);
  }
};

test('tiers and blocks that overlap, leave a gap, or do not end as they should are refused', () =>
  refused(`
    volume: [{up_to: 10, unit: 1}, {up_to: @10, unit: 1}, {unit: 1}]   => volume[1].up_to: overlaps: the tier before reaches up to 10
    volume: [{up_to: 10, unit: 1}, {up_to: @9.99, unit: 1}, {unit: 1}] => volume[1].up_to: overlaps: the tier before reaches up to 10
    graduated: [{up_to: 10, unit: 1}, {from: @11, unit: 1}]            => graduated[1].from: leaves a gap: the tier before reaches up to 10
    graduated: [{up_to: 10, unit: 1}, {from: @9, unit: 1}]             => graduated[1].from: overlaps: the tier before reaches up to 10
    graduated: [{from: @1, unit: 1}]                                   => graduated[0].from: leaves a gap: the tier before reaches up to 0
    graduated: [{from: 0, up_to: 10, unit: 1}, {from: 10, up_to: unlimited, unit: 1}] =>
    volume: [{up_to: @10, unit: 1}]                                    => volume[0].up_to: the last tier goes on without end: leave \`up_to\` away, or add one behind it
    volume: [@{unit: 1}, {unit: 2}]                                    => volume[0].up_to: only the last tier goes on without end: say up to where this one reaches
    volume: [{up_to: @unlimited, unit: 1}, {unit: 2}]                  => volume[0].up_to: only the last tier goes on without end: say up to where this one reaches
    volume: [{up_to: @0, unit: 1}, {unit: 2}]                          => volume[0].up_to: is more than zero
    volume: [{up_to: @-5, unit: 1}, {unit: 2}]                         => volume[0].up_to: "-5" is negative
    volume: [{up_to: 5, unit: @-1, flat: @-2}, {unit: 2}]              => volume[0].unit: "-1" is negative | volume[0].flat: "-2" is negative
    volume: [@{}]                                                      => volume[0]: a tier has a price: unit, flat, or both
    volume: @[]                                                        => volume: a list of at least one of tiers
    volume: @5                                                         => volume: a list of tiers, at most 200
    blocks: [@{size: 1, price: 1}, {size: 2, price: 1}]                => blocks[0].most: only the last block goes on without end: say how many there are of this one
    blocks: [{size: @0, price: 1, most: @0}, @{price: 1}]              => blocks[0].size: is more than zero | blocks[0].most: "0" is not a whole number from 1 | blocks[1].size: is missing
    blocks: [{size: 1, price: 1, most: @2}]                            => blocks[0].most: the last block goes on without end: leave \`most\` away
    policy: @best, blocks: [{size: 1, price: 1}]                       => policy: "best" is not known; one of all, top
    {key: x, meter: sales, graduated_percentage: [{up_to: 1, percent: @101}, {percent: 1}]} => graduated_percentage[0].percent: "101" is more than 100 percent
  `));

test('amounts that are negative, out of range, inexact or not in the currency are refused', () =>
  refused(`
    unit: @-1                                      => unit: "-1" is negative
    unit: -0                                       =>
    unit: @1e3                                     => unit: "1e3" is not a decimal number, such as 0.09
    unit: @.5                                      => unit: ".5" is not a decimal number, such as 0.09
    unit: @"1,5"                                   => unit: "1,5" is not a decimal number, such as 0.09
    unit: @1 USD                                   => unit: "1 USD" is not in EUR, as the plan is
    unit: 99999999999999999999.000000000000000001  =>
    unit: @100000000000000000000                   => unit: "100000000000000000000" has more than 20 digits
    unit: @0.0000000000000000001                   => unit: "0.0000000000000000001" has more than 18 decimals
    unit: @{}                                      => unit: a price
    unit: 1, discount: @100.01%                    => discount: "100.01%" is more than 100 percent
    {key: x, meter: sales, percentage: @100.1}     => percentage: "100.1" is more than 100 percent
    {key: x, meter: sales, percentage: {percent: @101, free_events: @1.5}} => percentage.percent: "101" is more than 100 percent | percentage.free_events: "1.5" is not a whole number from 1
    {key: x, meter: sales, percentage: {percent: 1, least: @2, most: 1}}   => percentage.least: 2 is above the most, 1
    {key: x, meter: sales, percentage: @{fixed: 1}}                        => percentage.percent: is missing
    {key: x, meter: sales, dynamic: @-1}           => dynamic: "-1" is negative
    package: {size: @0, price: @-1, free: @-1}     => package.size: is more than zero | package.price: "-1" is negative | package.free: "-1" is negative
    package: @{price: 1}                           => package.size: is missing
    package: @5                                    => package: \`package\` is an object with the fields size, price, free
    unit: 1, minimum: @5, maximum: 4.99            => minimum: 5 is above the most, 4.99
    unit: 1, minimum: @5, commitment: {amount: 4}  => minimum: contradicts \`commitment\`, which is due in any case too
    unit: 1, maximum: 5, commitment: {amount: @6}  => commitment.amount: 6 is above the most, 5
    unit: 1, commitment: @{}                       => commitment.amount: is missing
    unit: 1, commitment: {amount: 1, overage: @-1} => commitment.overage: "-1" is negative
    {key: x, fee: @many}                           => fee: "many" is not a decimal number, such as 0.09
  `));

test('meters, units, entitlements and dimensions that do not exist or do not fit are refused', () =>
  refused(`
    {key: x, meter: @nope, unit: 1}                  => meter: there is no meter "nope"; known are fees, network.bytes.received, network.bytes.sent, network.encapsulation.bytes, network.packets.received, network.packets.sent, requests, sales, stored, tokens, vms
    {key: x, meter: @requests, unit: 1}              => meter: there is no meter "requests": make one that counts what is to be paid for
    {key: x, meter: @tokens + sales, unit: 1}        => meter: the meters count in different units: {token}, EUR
    @{key: x, unit: 1}                               => meter: a price is a \`fee\`, or names the \`meter\` whose usage it is for
    unit: 1, per: @GB                                => per: "GB" does not fit the meter, which counts token; allowed is a number, and token, tokens
    unit: 1, per: @0 tokens                          => per: is more than zero
    unit: 1, round: @nearest                         => round: "nearest" is not known; one of none, up, down, half-up, half-even, half-down, floor, ceiling
    {key: x, meter: stored, unit: 1, per: @GB}       => per: "GB": a level is metered over time, say \`GB hour\` or \`GB month\`
    {key: x, meter: stored, unit: 1, per: @token month} => per: "token" does not fit the meter, which counts bytes; allowed is a number, and B, kB, MB, GB, TB, PB, KiB, MiB, GiB, TiB, PiB, byte, bytes
    unit: 1, included: {entitlement: @none}          => included.entitlement: the plan has no entitlement "none"; it has tokens, yearly, own, sent
    unit: 1, included: {entitlement: @sent}          => included.entitlement: is on network.bytes.sent, and this price is on tokens
    unit: 1, included: {entitlement: @yearly}        => included.entitlement: is per year, which does not fit the periods that are billed: make it per month
    unit: 1, included: @5 GB                         => included: "GB" does not fit the meter, which counts token; allowed is a number, and token, tokens
    unit: 1, included: @-5                           => included: "-5" is negative
    unit: 1, per: 3, included: @1 token              => included: "1 token" is no exact number of priced units
    {key: x, meter: stored, unit: 1, per: GB month, included: @5 GB h} => included: "5 GB h" is not in the unit that is priced: write it per the same time
    unit: 1, where: {region: @eu}                    => where.region: the meter has no dimension "region"; it has model, trafficType, resource
    unit: 1, where: {trafficType: @[public, carrier pigeon]} => where.trafficType: "carrier pigeon" is not known; one of public, guest, private-gateway, vpn, management, storage
    unit: 1, where: @eu                              => where: names of dimensions with the values that count, as in {trafficType: public}
    {key: x, meter: network.bytes.sent, percentage: @1} => percentage: is of money, and the meter counts bytes: its unit is to be EUR
    {key: x, meter: fees, dynamic: @1}               => dynamic: is of money, and the meter counts USD: its unit is to be EUR
  `));

const cell = '{where: {model: a}, unit: 1}';
const simple = 'unit, graduated, volume, package, blocks, percentage, graduated_percentage, dynamic';
test('a matrix has cells of its dimensions, each value in one of them', () =>
  refused(`
    matrix: {dimensions: @[region], cells: []}              => matrix.dimensions: the meter has no dimension "region"; it has model, trafficType, resource
    matrix: {dimensions: [model], cells: [${cell}, @${cell}]} => matrix.cells[1]: ambiguous: the cell in line 11 is for {model: a} too
    matrix: {dimensions: [model, resource], cells: [${cell}, @{where: {resource: b}, unit: 2}]} => matrix.cells[1]: ambiguous: the cell in line 11 is for {model: a} too
    matrix: {dimensions: [model, resource], cells: [${cell}, {where: {model: a, resource: b}, unit: 2}]} =>
    matrix: {dimensions: [model], cells: [{where: @{}, unit: 1}]}  => matrix.cells[0].where: names a value of at least one of the dimensions; what is for the rest goes to \`otherwise\`
    matrix: {dimensions: [model], cells: [{where: {model: a, @region: b}, unit: 1}]} => matrix.cells[0].where.region: unknown field; allowed are model
    matrix: {dimensions: [model], cells: [@{where: {model: a}}]}   => matrix.cells[0]: a cell states one of ${simple}
    matrix: {dimensions: [model], cells: [{where: {model: a}, unit: 1, @when: "true"}]} => matrix.cells[0].when: unknown field; allowed are where, ${simple}, policy
    matrix: {dimensions: [model], cells: [], otherwise: @5}        => matrix.otherwise: \`otherwise\` is an object with the fields ${simple}, policy
  `));

test('a condition compiles, is true or false, and reads what there is', () =>
  refused(`
    unit: 1, when: 'account.id == "a" && dimensions.model == "b"'   =>
    unit: 1, when: 'dimensions["trafficType"] in ["public", "vpn"]' =>
    unit: 1, when: @'account.id =='               => when: does not compile: Unexpected token: EOF
    unit: 1, when: @'account.age > 3'             => when: does not compile: No such key: age
    unit: 1, when: @'tenant == "a"'               => when: does not compile: Unknown variable: tenant
    unit: 1, when: @'account.id'                  => when: is a condition, which is true or false; this is a string
    unit: 1, when: @'dimensions.region == "eu"'   => when: the meter has no dimension "region"; it has model, trafficType, resource
    unit: 1, when: @'size(dimensions) > 3'        => when: reads dimensions by their names only: \`dimensions.region\`, \`dimensions["a b"]\`
    unit: 1, when: @'account.name.matches("^(a+)+$")' => when: does not use \`matches\`: compare, or use startsWith, endsWith, contains
  `));

const models = `a price of usage states one of ${simple}, matrix`;
test('fields that are unknown, said twice, or of the other kind of price are refused', () =>
  refused(`
    {key: x, fee: 1, unit: @2}                    => unit: is of usage, and this price is a fee
    unit: 1, term: @advance                       => term: goes with \`fee\`
    unit: 1, volume: @[{unit: 1}]                 => volume: contradicts \`unit\`: ${models}
    @{key: x, meter: tokens}                      => : ${models}
    unit: 1, policy: @top                         => policy: goes with \`blocks\`
    {key: x, fee: 1, per: once, prorate: @true}   => prorate: what is due once is due whole
    {key: x, fee: 1, from: 2026-02-01, to: @2026-01-01} => to: must lie after \`from\`
    {key: x, fee: 1, from: @soon}                 => from: "soon" is not an instant: give RFC 3339 such as 2026-11-21T23:00:00Z, or a local date or time
    {key: x, fee: 1, tax: @VAT 19}                => tax: "VAT 19" is no category: lower case letters, digits, dots, dashes and underscores
    {key: @X, fee: 1}                             => key: "X": lower case letters, digits, dots, dashes and underscores, at most 63
    {key: x, fee: 1, @colour: red}                => colour: unknown field; allowed are key, name, tax, from, to, per, fee, term, prorate, meter, ${simple}, matrix, policy, where, round, included, discount, minimum, maximum, commitment, when
  `));

test('terms that are unknown or make no sense are refused', () =>
  refusedTerms(`
    @period: month                                    => currency: is missing: such as EUR
    currency: @EURO                                   => currency: "EURO" is no currency of ISO 4217, such as EUR
    currency: EUR; period: @fortnight                 => period: "fortnight" is no period: day, week, month, quarter, year, or several, as in \`10 days\`
    currency: EUR; period: @11 years                  => period: "11 years" is longer than ten years
    currency: EUR; period: 10 days; anchor: @calendar => anchor: the calendar has no periods of 10 days: subscription
    currency: EUR; trial: @two weeks                  => trial: "two weeks" is no number of days, up to 3650
    currency: EUR; minimum: @-1                       => minimum: "-1" is negative
    currency: EUR; @interval: month                   => interval: unknown field; allowed are currency, period, anchor, trial, minimum, prices
    currency: EUR; prices: @none                      => prices: a list of prices, at most 200
  `));

test('everything that is wrong is told at once, in the order of the text', () =>
  checkRefused(planText(['unit: @-1, per: @GB', '{key: y, fee: @-1}', '@{key: y, fee: 1}'], ['currency: @EURO']), [
    'currency: "EURO" is no currency of ISO 4217, such as EUR',
    'prices[0].unit: "-1" is negative',
    'prices[0].per: "GB" does not fit the meter, which counts token; allowed is a number, and token, tokens',
    'prices[1].fee: "-1" is negative',
    'prices[2]: ambiguous: there is a price "y" already, in line 12',
  ]));

test('an included entitlement is counted over the periods that are billed', () => {
  const refusedIn = (terms: string[], entitlement: string, why = '') =>
    checkRefused(
      planText(
        [`unit: 1, included: {entitlement: ${why === '' ? '' : '@'}${entitlement}}`],
        ['currency: EUR', ...terms],
      ),
      why === '' ? [] : [`prices[0].included.entitlement: ${why}`],
    );
  const no = (period: string, instead: string) =>
    `is per ${period}, which does not fit the periods that are billed: ${instead}`;
  refusedIn(['period: month'], 'tokens');
  refusedIn(['period: month'], 'own', no('billing', 'make it per month'));
  refusedIn(['anchor: subscription'], 'own');
  refusedIn(['anchor: subscription'], 'tokens', no('month', 'make it per billing'));
  refusedIn(['period: year'], 'yearly');
  refusedIn(['period: quarter'], 'tokens', no('month', 'state an amount'));
});
