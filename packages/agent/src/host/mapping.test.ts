import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Assignment, assign, assignedAt, FOREVER, type Mapping } from './mapping.ts';
import { parseMapping } from './mapping-file.ts';
import { canMeet, fits, type HostObject } from './mapping-match.ts';

const mapping = (yaml: string): Mapping => {
  const parsed = parseMapping(yaml);
  if ('flaws' in parsed) assert.fail(JSON.stringify(parsed.flaws));
  return parsed.mapping;
};
const flaws = (yaml: string): string[] => {
  const parsed = parseMapping(yaml);
  return 'flaws' in parsed ? parsed.flaws.map((f) => `${f.line}:${f.column}: ${f.message}`) : [];
};
const objects = (...rules: string[]): string => `objects:\n${rules.map((rule) => `  - ${rule}\n`).join('')}`;
const vnet: HostObject = { poller: 'linux', object: 'vnet1', name: 'vnet1', mac: '52:54:00:00:00:01', tag: 'vni:5001' };
const accountOf = (yaml: string, object = vnet, at = 1000): string | null =>
  assignedAt(assign(object, mapping(yaml)), at).account;

test('what matches nothing stays unattributed', () => {
  const [only, ...more] = assign(vnet, mapping(objects('{ match: { name: "eth*" }, account: a }')));
  assert.deepEqual(more, []);
  assert.deepEqual(only, {
    from: 0,
    to: FOREVER,
    account: null,
    trafficType: null,
    tag: null,
    billable: null,
    rule: null,
  });
});

const winners: readonly [string, readonly string[], string | null][] = [
  ['a pattern holds for what it fits', ['{ match: { name: "vnet*" }, account: glob }'], 'glob'],
  [
    'an exact name outweighs a pattern',
    ['{ match: { name: vnet1 }, account: name }', '{ match: { name: "vnet*" }, account: glob }'],
    'name',
  ],
  [
    'an exact object outweighs an exact name',
    ['{ match: { name: vnet1 }, account: name }', '{ match: { object: vnet1 }, account: object }'],
    'object',
  ],
  [
    'a MAC outweighs a name, however it is written',
    ['{ match: { name: vnet1 }, account: name }', '{ match: { mac: 52-54-00-00-00-01 }, account: mac }'],
    'mac',
  ],
  [
    'a tag outweighs a pattern',
    ['{ match: { tag: "vni:5001" }, account: tag }', '{ match: { name: "vnet*" }, account: glob }'],
    'tag',
  ],
  [
    'a longer pattern outweighs a shorter one',
    ['{ match: { name: "v*" }, account: short }', '{ match: { name: "vnet*" }, account: long }'],
    'long',
  ],
  [
    'a rule that looks at more outweighs one that looks at less',
    ['{ match: { name: "vnet*" }, account: one }', '{ match: { name: "v*", poller: linux }, account: two }'],
    'two',
  ],
  ['a rule for another poller holds nothing here', ['{ match: { name: "vnet*", poller: nft }, account: other }'], null],
  ['all that a rule looks at must fit', ['{ match: { name: "vnet*", tag: "vlan:1" }, account: other }'], null],
  [
    'a rule can say that it is nobody’s',
    ['{ match: { name: vnet1 }, account: null }', '{ match: { name: "vnet*" }, account: glob }'],
    null,
  ],
];
for (const [name, rules, account] of winners)
  test(name, () => {
    assert.equal(accountOf(objects(...rules)), account);
    assert.equal(accountOf(objects(...[...rules].reverse())), account);
  });

test('several rules for one object are its history', () => {
  const yaml = objects(
    '{ match: { name: vnet1 }, account: a, to: "2026-11-01T00:00:00Z" }',
    '{ match: { name: vnet1 }, account: b, trafficType: guest, tag: "vni:1", billable: false, from: "2026-11-01T00:00:00Z", to: "2026-12-01T00:00:00Z" }',
  );
  const [november, december] = [Date.UTC(2026, 10, 1), Date.UTC(2026, 11, 1)];
  const told = assign(vnet, mapping(yaml)).map(({ rule, ...rest }) => ({ ...rest, line: rule?.line }));
  const none = { trafficType: null, tag: null, billable: null };
  assert.deepEqual(told, [
    { from: 0, to: november, account: 'a', ...none, line: 2 },
    { from: november, to: december, account: 'b', trafficType: 'guest', tag: 'vni:1', billable: false, line: 3 },
    { from: december, to: FOREVER, account: null, ...none, line: undefined },
  ]);
});

test('dates without an offset are in the zone of the file', () => {
  const at = (zone: string, from: string): number | undefined =>
    mapping(`zone: ${zone}\n${objects(`{ match: { name: x }, account: a, from: ${from} }`)}`).rules[0]?.from;
  assert.equal(at('Europe/Berlin', '2026-11-01'), Date.UTC(2026, 9, 31, 23));
  assert.equal(at('Europe/Berlin', '2026-07-01'), Date.UTC(2026, 5, 30, 22));
  assert.equal(at('Asia/Kathmandu', '"2026-07-01 00:00"'), Date.UTC(2026, 5, 30, 18, 15));
  assert.equal(at('America/St_Johns', '2026-07-01T00:00:00.250'), Date.UTC(2026, 6, 1, 2, 30, 0, 250));
  assert.equal(at('Europe/Berlin', '2026-11-01T00:00:00-05:00'), Date.UTC(2026, 10, 1, 5));
});

const refused: readonly [yaml: string, ...lines: string[]][] = [
  ['objects: 5', '1:10: objects wants a list of rules ("- match: ...")'],
  [
    'rules: []',
    '1:1: there is no part of the mapping "rules"; known are zone, objects',
    '1:1: wants "objects:" with a list of rules',
  ],
  ['zone: Mars/Base\nobjects: []', '1:7: there is no time zone "Mars/Base" (wants an IANA name)'],
  [objects('just text'), '2:5: a rule wants "match:" and what belongs to it'],
  [objects('{ account: a }'), '2:5: match wants at least one of object, mac, alias, name, tag, poller'],
  [objects('{ match: {}, account: a }'), '2:14: match wants at least one of object, mac, alias, name, tag, poller'],
  [objects('{ match: { nam: x }, account: a }'), '2:16: there is no field to match "nam"; did you mean "name"?'],
  [objects('{ match: { name: x } }'), '2:5: account is missing (account: null says that it is nobody’s on purpose)'],
  [
    objects('{ match: { name: x }, account: " a" }'),
    '2:36: " a" is no account: 1 to 256 characters, no spaces around, no control characters',
  ],
  [objects('{ match: { name: x }, account: [a] }'), '2:36: account is a text'],
  [
    objects('{ match: { name: x }, acount: a }'),
    '2:5: account is missing (account: null says that it is nobody’s on purpose)',
    '2:27: there is no part of a rule "acount"; did you mean "account"?',
  ],
  [
    objects('{ match: { name: x }, account: a, trafficType: gest }'),
    '2:52: there is no traffic type "gest"; did you mean "guest"?',
  ],
  [objects('{ match: { name: x }, account: a, billable: maybe }'), '2:49: billable is true or false'],
  [objects('{ match: { mac: "52:54" }, account: a }'), '2:21: "52:54" is no MAC address'],
  [
    objects('{ match: { name: x }, account: a, from: yesterday }'),
    '2:45: from: "yesterday" is no instant: write 2026-11-01T00:00:00Z, or a date in the zone of the file',
  ],
  [
    objects('{ match: { name: x }, account: a, from: 2026-02-30T00:00:00Z }'),
    '2:45: from: "2026-02-30T00:00:00Z" names a day or a time that does not exist',
  ],
  [
    objects('{ match: { name: x }, account: a, from: 2026-02-03T00:00:00+25:00 }'),
    '2:45: from: "2026-02-03T00:00:00+25:00" has an offset that no zone has',
  ],
  [
    objects('{ match: { name: x }, account: a, from: 1969-12-31T00:00:00Z }'),
    '2:45: from: "1969-12-31T00:00:00Z" lies before 1970',
  ],
  [
    objects('{ match: { name: x }, account: a, from: 2026-11-01 }'),
    '2:45: from: "2026-11-01" has no zone: end it with Z or +01:00, or name a zone for the file (zone: Europe/Berlin)',
  ],
  [
    `zone: Europe/Berlin\n${objects('{ match: { name: x }, account: a, from: 2026-03-29T02:30 }')}`,
    '3:45: from: "2026-03-29T02:30" is skipped when the clocks go forward in that zone; give an offset such as +01:00',
  ],
  [
    `zone: Europe/Berlin\n${objects('{ match: { name: x }, account: a, from: 2026-10-25T02:30 }')}`,
    '3:45: from: "2026-10-25T02:30" comes twice when the clocks go back in that zone; give an offset such as +01:00',
  ],
  [
    objects('{ match: { name: x }, account: a, from: 2026-11-02T00:00:00Z, to: 2026-11-01T00:00:00Z }'),
    '2:71: to must come after from',
  ],
  [
    objects('{ match: { name: x }, account: a }', '{ match: { name: x }, account: b }'),
    '3:5: the rules of lines 2 and 3 weigh the same, can match one object, and are in force at the same time',
  ],
  [
    objects('{ match: { name: "a*" }, account: a }', '{ match: { name: "*b" }, account: b }'),
    '3:5: the rules of lines 2 and 3 weigh the same, can match one object, and are in force at the same time',
  ],
  ['objects:\n\t- x', '2:1: not YAML: Tabs are not allowed as indentation'],
];
for (const [yaml, ...lines] of refused)
  test(`refused with its line: ${JSON.stringify(yaml)}`, () => assert.deepEqual(flaws(yaml), lines));

test('rules of one weight are no clash when no object can fit both, or when their times do not meet', () => {
  assert.deepEqual(
    flaws(objects('{ match: { name: "a*" }, account: a }', '{ match: { name: "b*" }, account: b }')),
    [],
  );
  const [until, from] = ['to: 2026-11-01T00:00:00Z', 'from: 2026-11-01T00:00:00Z'];
  assert.deepEqual(
    flaws(objects(`{ match: { name: x }, account: a, ${until} }`, `{ match: { name: x }, account: b, ${from} }`)),
    [],
  );
});

const word = fc.stringMatching(/^[ab]{0,6}$/);
const pattern = fc.stringMatching(/^[ab*]{0,6}$/);

test('a pattern fits exactly what its regular expression would', () => {
  fc.assert(
    fc.property(pattern, word, (p, text) => {
      assert.equal(fits(p, text), new RegExp(`^${p.replaceAll('*', '.*')}$`).test(text));
    }),
    { numRuns: 2000 },
  );
});

test('two patterns can meet exactly when some text fits both', () => {
  const texts = [''];
  for (let i = 0; texts.length < 1000; i++) texts.push(`${texts[i]}a`, `${texts[i]}b`);
  const short = fc.stringMatching(/^[ab*]{0,4}$/);
  fc.assert(
    fc.property(short, short, (p, q) => {
      // Two patterns of four characters that meet at all meet in a text of eight.
      assert.equal(
        canMeet(p, q),
        texts.some((text) => text.length <= 8 && fits(p, text) && fits(q, text)),
      );
    }),
    { numRuns: 300 },
  );
});

const rule = fc.record({
  match: fc.oneof(
    fc.record({ name: pattern.filter((p) => p !== '') }),
    fc.record({ object: word.filter((w) => w !== '') }),
    fc.record({ tag: pattern.filter((p) => p !== ''), poller: fc.constantFrom('linux', 'nft') }),
  ),
  account: fc.constantFrom('acme', 'globex', null),
  from: fc.integer({ min: 0, max: 9 }),
  length: fc.integer({ min: 1, max: 9 }),
});

const iso = (n: number): string => new Date(n * 1000).toISOString();

test('whatever is accepted gives one owner at every instant, in stretches that cover all time', () => {
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 8 }), word, word, (rules, name, tag) => {
      const lines = rules.map(({ match, account, from, length }) =>
        JSON.stringify({ match, account, from: iso(from), to: iso(from + length) }),
      );
      const parsed = parseMapping(`objects: [${lines.join(',')}]`);
      if ('flaws' in parsed) return;
      const object = { poller: 'linux', object: name, name, tag };
      const history = assign(object, parsed.mapping);
      assert.equal(history[0]?.from, 0);
      assert.equal(history.at(-1)?.to, FOREVER);
      for (const [i, stretch] of history.entries()) {
        assert.ok(stretch.from < stretch.to);
        if (i > 0) assert.equal(history[i - 1]?.to, stretch.from);
      }
      for (let second = 0; second <= 20; second++) assertHeaviest(history, parsed.mapping, object, second * 1000);
    }),
    { numRuns: 500 },
  );
});

/** By trying every rule: only one of the heaviest may speak, and the heaviest never differ. */
const assertHeaviest = (history: readonly Assignment[], all: Mapping, object: HostObject, at: number): void => {
  const now = assignedAt(history, at);
  const inForce = all.rules.filter((r) => r.from <= at && at < r.to);
  const fit = inForce.filter((r) =>
    Object.entries(r.match).every(([field, p]) => fits(p, object[field as keyof HostObject] ?? '')),
  );
  if (fit.length === 0) assert.equal(now.rule, null);
  else assert.ok(now.rule !== null && fit.includes(now.rule));
  const exact = fit.filter((r) => r.match.object !== undefined);
  if (exact.length > 0) assert.ok(now.rule !== null && exact.includes(now.rule));
};
