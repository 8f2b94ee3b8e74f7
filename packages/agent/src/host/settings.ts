/**
 * Every setting of the agent, one line each: what is read, `tollgate-agent config` and docs/reference/agent.md are made
 * from these tables. Weight grows from file over environment to flag.
 */
import { sumsDefaults } from '../measure/sums.ts';
import { paceDefaults } from '../publish/settings.ts';
import { spoolDefaults } from '../spool/settings.ts';
import type { Kind, Kinds, Setting } from './settings-values.ts';

interface Named<K extends Kind = Kind> extends Setting<K> {
  /** Flag of the command line; '' none. */
  flag: string;
  /** A variable that was there first and still holds, below the one of the table. */
  olderEnv: string;
  /** Never shown, and never read from the file. */
  secret: boolean;
}
interface Extras {
  flag?: string;
  olderEnv?: string;
  secret?: boolean;
  unit?: string;
  oneOf?: readonly string[];
}

const setting = <K extends Kind>(
  kind: K,
  fallback: Kinds[K],
  [min, max]: readonly [number, number],
  about: string,
  { flag = '', olderEnv = '', secret = false, unit = '', oneOf = [] }: Extras = {},
): Named<K> => ({ kind, fallback, min, max, unit, oneOf, about, flag, olderEnv, secret });

const [SECOND, MINUTE, HOUR] = [1000, 60_000, 3_600_000];
const [MIB, GIB] = [1024 ** 2, 1024 ** 3];
const TEXT = [1, 4096] as const;

/** An empty fallback means: not set, or worked out at start. */
export const settings = {
  'server.url': setting('address', '', TEXT, 'Address of the server', { flag: 'url', olderEnv: 'TOLLGATE_URL' }),
  'server.key': setting(
    'text',
    '',
    TEXT,
    'A key with scope ingest for the source. Not in the file: give `server.keyFile`',
    {
      flag: 'key',
      olderEnv: 'TOLLGATE_KEY',
      secret: true,
    },
  ),
  'server.keyFile': setting(
    'path',
    '',
    TEXT,
    'File that holds the key; only its owner may read it (mode 0600 or 0400)',
    {
      flag: 'key-file',
    },
  ),
  'server.timeout': setting('duration', 30 * SECOND, [SECOND, 10 * MINUTE], 'How long one request may take'),
  source: setting('text', '', [1, 256], 'Who reports; `host/<machine>` when not set', {
    flag: 'source',
    olderEnv: 'TOLLGATE_SOURCE',
  }),
  'state.folder': setting(
    'path',
    '',
    TEXT,
    'What must outlive a restart: spool, last passes, assignments. `STATE_DIRECTORY` when systemd gives one; otherwise nothing is kept on disk',
  ),
  'state.file': setting(
    'path',
    '',
    TEXT,
    'Remembers the last pass over the interfaces; in `state.folder` when not set',
    {
      flag: 'state',
    },
  ),
  'status.file': setting(
    'path',
    '',
    TEXT,
    'What `tollgate-agent status` reads; `status.json` in `RUNTIME_DIRECTORY`, else in `state.folder`, when not set',
  ),
  'status.interval': setting('duration', 5 * SECOND, [SECOND, MINUTE], 'Time between two writings of that file'),
  'spool.folder': setting('path', '', TEXT, '`spool` in `state.folder` when not set'),
  'spool.maxBytes': setting(
    'bytes',
    spoolDefaults.maxBytes,
    [MIB, 1024 * GIB],
    'Largest size of the spool, and of the readings beside it; what does not fit any more is counted and reported',
  ),
  'spool.segmentBytes': setting(
    'bytes',
    spoolDefaults.segmentBytes,
    [64 * 1024, GIB],
    'Size at which a segment of the spool is closed',
  ),
  'publish.startupDelay': setting(
    'duration',
    paceDefaults.startupDelayMs,
    [0, HOUR],
    'After a start the backlog waits this long; measuring begins at once',
  ),
  'publish.interval': setting('duration', paceDefaults.intervalMs, [10, MINUTE], 'Time between two portions'),
  'publish.recordsPerPortion': setting(
    'whole',
    paceDefaults.portionRecords,
    [1, 10_000],
    'Records of a portion while there is no backlog',
    {
      unit: 'records',
    },
  ),
  'measure.bucket': setting(
    'duration',
    sumsDefaults.bucketMs,
    [SECOND, 15 * MINUTE],
    'Measurements are summed over this time; a whole part of 15 minutes',
  ),
  'measure.maxKeys': setting(
    'whole',
    sumsDefaults.keysMax,
    [1, 10_000_000],
    'Most (subject, meter, dimensions) summed at one time',
    {
      unit: 'keys',
    },
  ),
  'poll.interval': setting(
    'duration',
    10 * SECOND,
    [SECOND, HOUR],
    'Time between two passes of a poller that names none',
    {
      flag: 'interval',
    },
  ),
  'poll.timeout': setting('duration', 30 * SECOND, [100, 10 * MINUTE], 'A pass that takes longer is told to give up'),
  'poll.bufferMax': setting(
    'whole',
    500_000,
    [1000, 100_000_000],
    'Readings kept in memory where there is no `state.folder` or its disk takes none; beyond it they are thinned, totals stay exact',
    {
      unit: 'readings',
    },
  ),
  mapping: setting('path', '', TEXT, 'File that says which object belongs to which account', { flag: 'mapping' }),
  'log.level': setting('text', 'info', [1, 8], 'Least severe line that is written to standard error', {
    oneOf: ['debug', 'info', 'warn', 'error'],
  }),
} as const satisfies Record<string, Named>;

export type SettingName = keyof typeof settings;
export type Settings = { [N in SettingName]: Kinds[(typeof settings)[N]['kind']] };
export const settingNames = Object.keys(settings) as SettingName[];
export const settingOf = (name: SettingName): Named => settings[name];

/** `spool.maxBytes` is TOLLGATE_AGENT_SPOOL_MAX_BYTES. */
export const variableOf = (name: string): string =>
  `TOLLGATE_AGENT_${name
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replaceAll('.', '_')
    .toUpperCase()}`;
