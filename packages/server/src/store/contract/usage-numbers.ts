/** Numbered batches: which numbers of a run have come. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { declarationAt, texts, type UsageCases, write } from './usage-cases.ts';

export const usageNumberCases: UsageCases = {
  'a run with a hole is told whatever is in its name': async ({ store }) => {
    const named = texts.flatMap((text, i) => [
      { tenant: text, source: `s${i}` },
      { source: text },
      { run: text, source: `r${i}` },
    ]);
    const declarations = named.flatMap((name, i) =>
      [1, 3].map((first, k) => declarationAt(2 * i + k + 1, { ...name, firstSequence: first, lastSequence: first })),
    );
    await write(store, { declarations });
    const found = (await store.acceptedNumbers()).map((m) => JSON.stringify(m)).sort();
    const told = declarations.map(({ tenant, source, run, firstSequence: first, lastSequence: last }) =>
      JSON.stringify({ tenant, source, run, first, last }),
    );
    assert.deepEqual(found, told.sort());
  },

  'the numbers of a run that came are told as ranges, whatever came twice, together or not at all': async ({
    store,
  }) => {
    let receipt = 0;
    const declare = (run: string, spans: readonly (readonly [number, number])[]) =>
      spans.map(([firstSequence, lastSequence]) => declarationAt(++receipt, { run, firstSequence, lastSequence }));
    const ranges = async () =>
      (await store.acceptedNumbers())
        .map(({ run, first, last }) => [run, first, last] as const)
        .sort((a, b) => a[0].localeCompare(b[0]) || a[1] - b[1]);
    const known = {
      'in-order': [
        [1, 4],
        [5, 5],
        [6, 9],
      ],
      'with-hole': [
        [1, 4],
        [6, 9],
      ],
      'hole-and-repeats': [
        [1, 2],
        [1, 2],
        [4, 5],
        [4, 5],
        [7, 9],
      ],
      overtaken: [
        [5, 9],
        [1, 4],
      ],
      'cut-in-pieces': [
        [0, 9],
        [0, 4],
        [5, 9],
      ],
      'nothing-to-say': [
        [0, -1],
        [0, -1],
        [500, 499],
      ],
      'repeated-begin': [
        [0, -1],
        [3, 4],
      ],
      large: [[2 ** 53 - 12, 2 ** 53 - 2]],
    } as const;
    await write(store, { declarations: Object.entries(known).flatMap(([run, spans]) => declare(run, spans)) });
    assert.deepEqual(await ranges(), [
      ['cut-in-pieces', 0, 9],
      ['hole-and-repeats', 1, 2],
      ['hole-and-repeats', 4, 5],
      ['hole-and-repeats', 7, 9],
      ['in-order', 1, 9],
      ['large', 2 ** 53 - 12, 2 ** 53 - 2],
      ['overtaken', 1, 9],
      ['repeated-begin', 3, 4],
      ['with-hole', 1, 4],
      ['with-hole', 6, 9],
    ]);
    const span = fc
      .tuple(fc.nat(12), fc.integer({ min: -1, max: 4 }))
      .map(([first, more]) => [first, first + more] as const);
    const [runs = []] = fc.sample(
      fc.array(fc.array(span, { maxLength: 8 }), { minLength: 1_100, maxLength: 1_100 }),
      1,
    );
    const random = runs.flatMap((spans, i) => declare(`random-${1000 + i}`, spans));
    await write(store, { declarations: random });
    const expected = runs.flatMap((spans, i) => {
      const came = (n: number) => spans.some(([first, last]) => first <= n && n <= last);
      const numbers = Array.from({ length: 20 }, (_, n) => n);
      const firsts = numbers.filter((n) => came(n) && !came(n - 1));
      const lasts = numbers.filter((n) => came(n) && !came(n + 1));
      return firsts.map((first, k) => [`random-${1000 + i}`, first, lasts[k]]);
    });
    const found = (await ranges()).filter(([run]) => run.startsWith('random'));
    assert.deepEqual(found, expected, JSON.stringify(runs));
  },
};
