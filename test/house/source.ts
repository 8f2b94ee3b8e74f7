/**
 * Reads TypeScript just far enough for the house rules: what is code, what is text, what is comment, and what is
 * imported. A scanner of a few states, because no parser comes with the compiler any more; regular expressions are told
 * from division by what stands before them.
 */

export interface Source {
  /** Path from the root of the repository. */
  readonly path: string;
  /** The file with comments and the content of strings blanked; lines keep their numbers. */
  readonly code: string;
  /** The file with everything but the content of strings and templates blanked. */
  readonly text: string;
  readonly imports: readonly Import[];
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** Erased at run time: `import type`. */
  readonly typeOnly: boolean;
}

type Kind = 'code' | 'text' | 'comment';
const BEFORE_REGEX = /(?:^|[=(,:;!&|?{}[+\-*%<>~^]|\b(?:return|typeof|case|in|of|await|void))\s*$/;

/** Marks every character as code, text or comment. Quotes count as code. */
const classify = (s: string): Kind[] => {
  const kinds: Kind[] = new Array<Kind>(s.length).fill('code');
  /** Brace depths at which a template's `${` was opened. */
  const templates: number[] = [];
  let depth = 0;
  let i = 0;
  const until = (kind: Kind, ends: (at: number) => boolean): void => {
    while (i < s.length && !ends(i)) {
      kinds[i] = kind;
      if (kind === 'text' && s[i] === '\\') {
        i += 1;
        if (i < s.length) kinds[i] = kind;
      }
      i += 1;
    }
  };
  const template = (): void => {
    until('text', (at) => s[at] === '`' || s.startsWith('${', at));
    if (s[i] === '`') i += 1;
    else if (i < s.length) {
      templates.push(depth);
      depth += 1;
      i += 2;
    }
  };
  while (i < s.length) {
    const c = s[i];
    if (s.startsWith('//', i)) until('comment', (at) => s[at] === '\n');
    else if (s.startsWith('/*', i)) {
      until('comment', (at) => s.startsWith('*/', at));
      kinds.fill('comment', i, i + 2);
      i += 2;
    } else if (c === "'" || c === '"') {
      i += 1;
      until('text', (at) => s[at] === c || s[at] === '\n');
      i += 1;
    } else if (c === '`') {
      i += 1;
      template();
    } else if (c === '/' && BEFORE_REGEX.test(s.slice(Math.max(0, i - 40), i))) {
      i += 1;
      let inClass = false;
      until('text', (at) => {
        if (s[at] === '[') inClass = true;
        if (s[at] === ']') inClass = false;
        return (s[at] === '/' && !inClass) || s[at] === '\n';
      });
      i += 1;
    } else {
      if (c === '{') depth += 1;
      if (c === '}') depth -= 1;
      i += 1;
      if (c === '}' && templates.at(-1) === depth) {
        templates.pop();
        template();
      }
    }
  }
  return kinds;
};

const IMPORT = /^[ \t]*(import|export)\b([^;'"`]*?)['"]|\bimport\(\s*['"]|\bnew URL\(\s*['"]/gm;

const importsOf = (raw: string, code: string): Import[] => {
  const found: Import[] = [];
  for (const match of code.matchAll(IMPORT)) {
    const at = match.index + match[0].length;
    const quote = raw[at - 1] ?? "'";
    const specifier = raw.slice(at, raw.indexOf(quote, at));
    const head = match[2] ?? '';
    if (match[1] === 'export' && !/\bfrom\s*$/.test(head)) continue;
    if (match[1] === 'import' && head.trim() !== '' && !/\bfrom\s*$/.test(head)) continue;
    if (match[0].includes('new URL') && !specifier.startsWith('.')) continue;
    found.push({ specifier, line: lineAt(raw, at), typeOnly: /^\s*type\b/.test(head) });
  }
  return found;
};

export const lineAt = (s: string, at: number): number => s.slice(0, at).split('\n').length;

const blank = (s: string, kinds: readonly Kind[], keep: Kind): string => {
  let out = '';
  for (let i = 0; i < s.length; i++) out += kinds[i] === keep || s[i] === '\n' ? s[i] : ' ';
  return out;
};

export const parse = (path: string, raw: string): Source => {
  const kinds = classify(raw);
  const code = blank(raw, kinds, 'code');
  return { path, code, text: blank(raw, kinds, 'text'), imports: importsOf(raw, code) };
};
