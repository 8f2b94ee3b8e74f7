/**
 * Every setting of Tollgate, one line each: flag, environment variable, unit, default, bounds, meaning. A registry: it is long
 * because there are many, and is read by looking one up; what is done with them begins at `loadConfig`.
 * Order of weight: built-in default < file (YAML) < environment < flag. This is the only file that reads the environment.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';

export type Kind = 'text' | 'whole' | 'switch';

export interface Setting<T> {
  kind: Kind;
  flag: string;
  env: string;
  unit: string;
  fallback: T;
  min: number;
  max: number;
  oneOf: readonly string[];
  about: string;
}

const text = (flag: string, env: string, fallback: string, about: string, oneOf: readonly string[] = []) =>
  ({ kind: 'text', flag, env, unit: '', fallback, min: 0, max: 4096, oneOf, about }) satisfies Setting<string>;
const whole = (flag: string, env: string, unit: string, fallback: number, min: number, max: number, about: string) =>
  ({ kind: 'whole', flag, env, unit, fallback, min, max, oneOf: [], about }) satisfies Setting<number>;
const flip = (flag: string, env: string, fallback: boolean, about: string) =>
  ({ kind: 'switch', flag, env, unit: '', fallback, min: 0, max: 1, oneOf: [], about }) satisfies Setting<boolean>;

/** An empty fallback of a text setting means: not set, or worked out at start (the data directory, the zone). */
export const settings = {
  dataDir: text(
    '--data-dir',
    'TOLLGATE_DATA_DIR',
    '',
    'Folder of both stores. As root /var/lib/tollgate, as anyone else $XDG_DATA_HOME/tollgate',
  ),
  configFile: text(
    '--config',
    'TOLLGATE_CONFIG',
    '',
    'Settings file (YAML); tollgate.yaml in the data directory when it exists',
  ),
  httpHost: text(
    '--http-host',
    'TOLLGATE_HTTP_HOST',
    '127.0.0.1',
    'Address the API listens on; one that is not loopback needs TLS files or --insecure',
  ),
  httpPort: whole(
    '--http-port',
    'TOLLGATE_HTTP_PORT',
    'port',
    8080,
    0,
    65_535,
    'Port of the API, /metrics and health; 0 takes a free one',
  ),
  throttle: flip('--throttle', 'TOLLGATE_THROTTLE', true, 'Decide on limits and answer Envoy'),
  rlsPort: whole(
    '--rls-port',
    'TOLLGATE_RLS_PORT',
    'port',
    8081,
    0,
    65_535,
    "Port of Envoy's Rate Limit Service (gRPC, without TLS or keys), on loopback; 0 takes a free one",
  ),
  rlsHost: text(
    '--rls-host',
    'TOLLGATE_RLS_HOST',
    '127.0.0.1',
    "Address of Envoy's Rate Limit Service; one that is not loopback needs --insecure",
  ),
  legacyHeaders: flip(
    '--legacy-rate-limit-headers',
    'TOLLGATE_LEGACY_RATE_LIMIT_HEADERS',
    false,
    'Also tell proxies X-RateLimit-Limit, -Remaining and -Reset',
  ),
  limitsRedis: text(
    '--limits-redis',
    'TOLLGATE_LIMITS_REDIS',
    '',
    'Redis or Valkey that several servers share limits by: redis://..., rediss://... (TLS) or unix:/...; the control store when not set',
  ),
  limitsRedisCa: text(
    '--limits-redis-ca',
    'TOLLGATE_LIMITS_REDIS_CA',
    '',
    'Certificates (PEM) that sign that of the Redis; those of the machine when not set',
  ),
  invoiceFont: text(
    '--invoice-font',
    'TOLLGATE_INVOICE_FONT',
    '',
    'Font file (TrueType, OpenType) for characters in PDF invoices that DejaVu lacks, such as Chinese',
  ),
  tlsCert: text('--tls-cert', 'TOLLGATE_TLS_CERT', '', 'Certificate chain (PEM)'),
  tlsKey: text('--tls-key', 'TOLLGATE_TLS_KEY', '', 'Private key of the certificate (PEM)'),
  insecure: flip('--insecure', 'TOLLGATE_INSECURE', false, 'Allow plain HTTP on an address that is not loopback'),
  url: text(
    '--url',
    'TOLLGATE_URL',
    '',
    'Server the command line speaks to; otherwise the local one, found by its data directory',
  ),
  key: text('--key', 'TOLLGATE_KEY', '', 'Key the command line uses; otherwise admin.key in the data directory'),
  controlUrl: text(
    '--control-url',
    'TOLLGATE_CONTROL_URL',
    '',
    'PostgreSQL of the control store, postgres://...; an embedded one when not set',
  ),
  groups: whole(
    '--groups',
    'TOLLGATE_GROUPS',
    'groups',
    4,
    1,
    64,
    'Partitions of the series, fixed when the store is made',
  ),
  defaultAccount: text(
    '--default-account',
    'TOLLGATE_DEFAULT_ACCOUNT',
    'default',
    'Account made at the first start; owns what the local collector finds',
  ),
  zone: text(
    '--zone',
    'TOLLGATE_ZONE',
    '',
    'IANA time zone of the first account; the zone of this machine when not set',
  ),
  currency: text('--currency', 'TOLLGATE_CURRENCY', 'EUR', 'ISO 4217 currency of the first account'),
  collector: flip('--collector', 'TOLLGATE_COLLECTOR', true, 'Meter the network interfaces of this machine'),
  collectorSource: text(
    '--collector-source',
    'TOLLGATE_COLLECTOR_SOURCE',
    '',
    'Name of the local collector; host/<machine> when not set',
  ),
  pollSeconds: whole(
    '--poll',
    'TOLLGATE_POLL_SECONDS',
    's',
    10,
    1,
    3600,
    'Time between two passes over all interfaces',
  ),
  jobSeconds: whole(
    '--job-interval',
    'TOLLGATE_JOB_SECONDS',
    's',
    300,
    1,
    86_400,
    'Time between two runs of the usage job',
  ),
  deadlineSeconds: whole(
    '--job-deadline',
    'TOLLGATE_JOB_DEADLINE_SECONDS',
    's',
    900,
    60,
    604_800,
    'A window closes at the latest this long after its end, as pending where a source has not spoken',
  ),
  billing: flip('--billing', 'TOLLGATE_BILLING', true, 'Make invoices in the background; by hand always'),
  billingRunSeconds: whole(
    '--billing-run-seconds',
    'TOLLGATE_BILLING_RUN_SECONDS',
    's',
    3600,
    0,
    604_800,
    'Time between two invoice runs; 0: only by hand',
  ),
  skewSeconds: whole(
    '--skew',
    'TOLLGATE_SKEW_SECONDS',
    's',
    60,
    1,
    86_400,
    'Times further in the future than this are set to the time of receipt',
  ),
  identityDays: whole(
    '--identity-days',
    'TOLLGATE_IDENTITY_DAYS',
    'd',
    35,
    1,
    35,
    'Window in which one event id with another time is still recognised',
  ),
  identityMemoryMb: whole(
    '--identity-memory',
    'TOLLGATE_IDENTITY_MEMORY_MB',
    'MB',
    256,
    16,
    65_536,
    'Memory for recognising event ids; older ids are refused when it is full',
  ),
  bodyBytesMax: whole(
    '--body-max',
    'TOLLGATE_BODY_BYTES_MAX',
    'bytes',
    8 * 1024 * 1024,
    1024,
    64 * 1024 * 1024,
    'Largest request body, after decompression',
  ),
  batchEventsMax: whole(
    '--batch-max',
    'TOLLGATE_BATCH_EVENTS_MAX',
    'events',
    10_000,
    1,
    100_000,
    'Most events or readings in one request',
  ),
  queueEventsMax: whole(
    '--queue-max',
    'TOLLGATE_QUEUE_EVENTS_MAX',
    'events',
    200_000,
    1000,
    10_000_000,
    'Most facts waiting for the disk; beyond it ingest answers 503',
  ),
  metricsKey: flip('--metrics-key', 'TOLLGATE_METRICS_KEY', false, 'Ask for a key with scope read on /metrics'),
  readOnly: flip('--read-only', 'TOLLGATE_READ_ONLY', false, 'Serve what is stored, take nothing in, run no job'),
  stopSeconds: whole(
    '--stop-timeout',
    'TOLLGATE_STOP_SECONDS',
    's',
    4,
    1,
    600,
    'Time a clean stop may take before the process ends anyway',
  ),
  logLevel: text('--log-level', 'TOLLGATE_LOG_LEVEL', 'info', 'Least severe log line that is written', [
    'fatal',
    'error',
    'warn',
    'info',
    'debug',
    'trace',
  ]),
  logFile: text(
    '--log-file',
    'TOLLGATE_LOG_FILE',
    '',
    'Structured log; <data directory>/tollgate.log when not set, - for standard error',
  ),
} as const;

export type SettingName = keyof typeof settings;
type Value<K extends SettingName> = (typeof settings)[K]['kind'] extends 'whole'
  ? number
  : (typeof settings)[K]['kind'] extends 'switch'
    ? boolean
    : string;
export type Config = { [K in SettingName]: Value<K> };
export const settingNames = Object.keys(settings) as SettingName[];

/** Values as a person gave them: texts from flags and environment, YAML scalars from the file. */
export type RawValues = Partial<Record<SettingName, unknown>>;

export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** What the settings are worked out from; tests pass their own. */
export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>;
  /** 0: root; null where the system has no such numbers. */
  uid: number | null;
  home: string;
  cwd: string;
  /** Content of a file, null when there is none. */
  read(path: string): string | null;
}

const ambient = (): Surroundings => ({
  env: process.env,
  uid: process.getuid?.() ?? null,
  home: homedir(),
  cwd: process.cwd(),
  read: (path) => (existsSync(path) ? readFileSync(path, 'utf8') : null),
});

const boundsText = (s: Setting<unknown>): string => {
  if (s.kind === 'switch') return 'true or false';
  if (s.kind === 'whole') return `a whole number${s.unit ? ` of ${s.unit}` : ''} from ${s.min} to ${s.max}`;
  return s.oneOf.length > 0 ? `one of ${s.oneOf.join(', ')}` : `a text of at most ${s.max} characters`;
};

/** undefined: refused. */
const parseValue = (s: Setting<unknown>, raw: unknown): string | number | boolean | undefined => {
  if (s.kind === 'switch') {
    if (typeof raw === 'boolean') return raw;
    const word = String(raw).toLowerCase();
    return ['true', '1', 'yes', 'on'].includes(word)
      ? true
      : ['false', '0', 'no', 'off'].includes(word)
        ? false
        : undefined;
  }
  if (typeof raw !== 'string' && typeof raw !== 'number') return undefined;
  const word = String(raw);
  if (s.kind === 'whole') {
    if (!/^\d{1,12}$/.test(word)) return undefined;
    const n = Number(word);
    return n >= s.min && n <= s.max ? n : undefined;
  }
  if (word.length > s.max || word.includes('\0')) return undefined;
  return s.oneOf.length === 0 || s.oneOf.includes(word) ? word : undefined;
};

interface Layer {
  origin(name: SettingName): string;
  values: RawValues;
}

const fromEnvironment = (env: Surroundings['env']): Layer => {
  const values: RawValues = {};
  // An empty variable counts as not set: `TOLLGATE_URL= tollgate usage` is how a shell switches one off.
  for (const name of settingNames) {
    const value = env[settings[name].env];
    if (value !== undefined && value !== '') values[name] = value;
  }
  return { origin: (name) => `environment variable ${settings[name].env}`, values };
};

const fromFile = (path: string, content: string, problems: string[]): Layer => {
  let parsed: unknown;
  try {
    parsed = parseYaml(content) ?? {};
  } catch (e) {
    problems.push(`${path}: not YAML: ${e instanceof Error ? e.message.split('\n')[0] : String(e)}`);
    parsed = {};
  }
  const values: RawValues = {};
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    problems.push(`${path}: wants "name: value" lines`);
  } else {
    for (const [name, value] of Object.entries(parsed)) {
      if (name in settings) values[name as SettingName] = value;
      else problems.push(`${path}: there is no setting "${name}"; known are ${settingNames.join(', ')}`);
    }
  }
  return { origin: (name) => `${name} in ${path}`, values };
};

/** The standard says to ignore the variable when it is not absolute. */
const shareFolder = ({ env, home }: Surroundings): string =>
  isAbsolute(env.XDG_DATA_HOME ?? '') ? (env.XDG_DATA_HOME as string) : join(home, '.local', 'share');

const defaultDataDir = (around: Surroundings): string =>
  around.uid === 0 ? '/var/lib/tollgate' : join(shareFolder(around), 'tollgate');

/** Settings as they hold for one process. Throws ConfigError that names every refused value with its bounds. */
export const loadConfig = (flags: RawValues = {}, around: Surroundings = ambient()): Config => {
  const problems: string[] = [];
  const top: Layer = { origin: (name) => `flag ${settings[name].flag}`, values: flags };
  const environment = fromEnvironment(around.env);
  const early = (name: 'dataDir' | 'configFile', fallback: string): string => {
    const given = top.values[name] ?? environment.values[name];
    return typeof given === 'string' && given !== '' ? resolve(around.cwd, given) : fallback;
  };
  // The file lies in the data directory, so the file cannot name the data directory: only flags and environment can.
  const dataDir = early('dataDir', defaultDataDir(around));
  const named = early('configFile', '');
  const path = named || join(dataDir, 'tollgate.yaml');
  const content = around.read(path);
  if (named && content === null) problems.push(`${path}: no such settings file`);
  const file: Layer = content === null ? { origin: () => path, values: {} } : fromFile(path, content, problems);
  for (const name of ['dataDir', 'configFile'] as const)
    if (file.values[name] !== undefined)
      problems.push(`${path}: ${name} cannot be set in the file; use ${settings[name].env}`);

  const config: Record<string, string | number | boolean> = {};
  for (const name of settingNames) {
    const setting: Setting<unknown> = settings[name];
    const layer = [top, environment, file].find((l) => l.values[name] !== undefined);
    if (!layer) {
      config[name] = settings[name].fallback;
      continue;
    }
    const value = parseValue(setting, layer.values[name]);
    if (value === undefined) {
      const shown = name === 'key' ? 'the value' : JSON.stringify(layer.values[name]);
      problems.push(`${layer.origin(name)}: ${shown} is refused, wants ${boundsText(setting)}`);
    } else config[name] = value;
  }
  config.dataDir = dataDir;
  config.configFile = content === null ? '' : path;
  if (problems.length > 0) throw new ConfigError(problems);
  return config as Config;
};

/** True for addresses only this machine can reach. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);

/** Rules over several settings, checked by `serve` (the command line works with half of them). */
export const checkListen = (c: Pick<Config, 'httpHost' | 'rlsHost' | 'insecure' | 'tlsCert' | 'tlsKey'>): void => {
  if ((c.tlsCert === '') !== (c.tlsKey === ''))
    throw new ConfigError([`${settings.tlsCert.flag} and ${settings.tlsKey.flag} go together`]);
  if (!isLoopback(c.rlsHost) && !c.insecure)
    throw new ConfigError([
      `${settings.rlsHost.env}: ${c.rlsHost} can be reached from outside, and Envoy's protocol has neither TLS nor keys here. ` +
        `Give ${settings.insecure.flag} if the network in front of it is yours alone`,
    ]);
  if (!isLoopback(c.httpHost) && !c.tlsCert && !c.insecure)
    throw new ConfigError([
      `${settings.httpHost.env}: ${c.httpHost} can be reached from outside and keys would travel in the clear. ` +
        `Give ${settings.tlsCert.flag} and ${settings.tlsKey.flag}, or ${settings.insecure.flag} if something in front does TLS`,
    ]);
};

/** The settings as a page of the reference: one row each. */
export const settingsPage = (): string => {
  const rows = settingNames.map((name) => {
    const s: Setting<unknown> = settings[name];
    const fallback = s.fallback === '' ? '' : `\`${String(s.fallback)}\``;
    const bounds =
      s.kind === 'whole' ? `${s.min} .. ${s.max} ${s.unit}` : s.kind === 'switch' ? 'true, false' : s.oneOf.join(', ');
    return `| \`${name}\` | \`${s.env}\` | \`${s.flag}\` | ${fallback} | ${bounds} | ${s.about} |`;
  });
  return [
    '# Settings',
    '',
    'Made from `packages/server/src/config.ts`; do not edit. Weight grows from file (`tollgate.yaml` in the data directory,',
    'or `--config`) over environment to flag. A refused value stops the start and is named with its bounds.',
    '',
    '| in the file | environment | flag | default | bounds | meaning |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
};
