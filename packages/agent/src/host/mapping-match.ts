/** What a rule of the mapping looks at: exact texts and texts with `*`, which rule weighs more, which two can meet. */

/** An object as its poller tells it. Absent: the poller does not know. */
export interface HostObject {
  poller: string;
  object: string;
  name?: string;
  mac?: string;
  alias?: string;
  tag?: string;
}
export const fields = ['object', 'mac', 'alias', 'name', 'tag', 'poller'] as const;
export type Field = (typeof fields)[number];
export type Match = Readonly<Partial<Record<Field, string>>>;

export const isGlob = (text: string): boolean => text.includes('*');

/** `*` stands for any characters, also none; everything else for itself. No backtracking: the last star is retried. */
export const fits = (pattern: string, text: string): boolean => {
  let [p, t, star, mark] = [0, 0, -1, 0];
  while (t < text.length) {
    if (pattern.charAt(p) === '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.length && pattern.charAt(p) === text.charAt(t)) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++mark;
    } else return false;
  }
  while (pattern.charAt(p) === '*') p++;
  return p === pattern.length;
};

/** Is there a text both fit? */
export const canMeet = (a: string, b: string): boolean => {
  if (!isGlob(a)) return fits(b, a);
  if (!isGlob(b)) return fits(a, b);
  // row[j]: the rest of `a` from here and the rest of `b` from j have a text in common.
  let below: boolean[] = [];
  for (let i = a.length; i >= 0; i--) {
    const row: boolean[] = [];
    for (let j = b.length; j >= 0; j--) {
      const [x, y] = [a.charAt(i), b.charAt(j)];
      row[j] =
        (x === '' && y === '') ||
        (x === '*' && (below[j] === true || (y !== '' && row[j + 1] === true))) ||
        (y === '*' && (row[j + 1] === true || (x !== '' && below[j] === true))) ||
        (x !== '' && x === y && below[j + 1] === true);
    }
    below = row;
  }
  return below[0] === true;
};

/** MAC addresses are one text, however they are written. */
export const normal = (field: Field, text: string): string =>
  field === 'mac' ? text.toLowerCase().replaceAll('-', ':') : text;

export const matches = (match: Match, object: HostObject): boolean =>
  fields.every((field) => {
    const [want, have] = [match[field], object[field]];
    return want === undefined || (have !== undefined && fits(want, normal(field, have)));
  });

/** Is there an object both match? What one rule does not look at cannot keep them apart. */
export const overlap = (a: Match, b: Match): boolean =>
  fields.every((field) => {
    const [x, y] = [a[field], b[field]];
    return x === undefined || y === undefined || canMeet(x, y);
  });

/** The field a rule is found by: the most telling one it names exactly. Null: it has to be tried. */
export const keyOf = (match: Match): { field: Field; text: string } | null => {
  for (const field of fields) {
    const text = match[field];
    if (field !== 'poller' && text !== undefined && !isGlob(text)) return { field, text };
  }
  return null;
};

/**
 * The heavier rule wins: first by the most telling field it names exactly (object, MAC, alias, name, tag; a pattern
 * says least), then by how many fields it looks at, then by how many characters it fixes.
 */
export const weightOf = (match: Match): number => {
  const key = keyOf(match);
  const rank = key === null ? 0 : fields.length - fields.indexOf(key.field);
  const texts = Object.values(match);
  const fixed = texts.reduce((sum, text) => sum + text.replaceAll('*', '').length, 0);
  return rank * 1e7 + texts.length * 1e6 + Math.min(fixed, 999_999);
};
