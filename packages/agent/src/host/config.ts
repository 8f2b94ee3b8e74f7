/**
 * Settings as they hold for one process: file < environment < flag, each value with where it came from. The only file of
 * the agent that reads the environment.
 */
import { readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { ConfigError, type FileSettings, fileSettings } from './config-file.ts';
import { watchedTunnels } from './config-tunnels.ts';
import type { WatchedTunnel } from './encapsulation-watch.ts';
import { type SettingName, type Settings, settingNames, settingOf, variableOf } from './settings.ts';
import type { PollerConfig } from './settings-pollers.ts';
import { type Flaw, flawLine, nearest } from './settings-tree.ts';
import { boundsOf, type Kind, type Kinds, parseValue } from './settings-values.ts';

export { ConfigError };

export interface AgentConfig {
  values: Settings;
  /** Where each value came from, for people: `default`, `FILE:LINE`, `environment NAME`, `flag --name`. */
  origins: Readonly<Record<SettingName, string>>;
  pollers: readonly PollerConfig[];
  tunnels: readonly WatchedTunnel[];
  /** The settings file; '' when there is none. */
  file: string;
}

/** What the settings are worked out from; tests pass their own. */
export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>;
  hostname: string;
  cwd: string;
  /** null: there is no such file. Throws when it cannot be read. */
  read(path: string): string | null;
  /** Permission bits, null where there are none. */
  mode(path: string): number | null;
}

const orNull = <T>(ask: () => T): T | null => {
  try {
    return ask();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
};

const ambient = (): Surroundings => ({
  env: process.env,
  hostname: hostname(),
  cwd: process.cwd(),
  read: (path) => orNull(() => readFileSync(path, 'utf8')),
  mode: (path) => (process.platform === 'win32' ? null : orNull(() => statSync(path).mode & 0o777)),
});

export const DEFAULT_FILE = '/etc/tollgate/tollgate-agent.yaml';

interface Given {
  text: string;
  origin: string;
  /** 3 flag, 2 environment, 1 file. */
  weight: number;
  /** What relative paths are relative to. */
  base: string;
}
export type Flags = Readonly<Partial<Record<SettingName, string>>>;

/**
 * `file`: the settings file; left away the one of TOLLGATE_AGENT_CONFIG, else /etc/tollgate/tollgate-agent.yaml when it
 * exists. Throws ConfigError with a line for everything that is refused.
 */
export const loadAgentConfig = (
  given: { flags?: Flags; file?: string } = {},
  around: Surroundings = ambient(),
): AgentConfig => {
  const problems: string[] = [];
  const file = readFile(given.file ?? (around.env.TOLLGATE_AGENT_CONFIG || undefined), around, problems);
  problems.push(...strangers(around.env));
  const values: Record<string, Kinds[Kind]> = {};
  const origins: Record<string, string> = {};
  const weights: Record<string, number> = {};
  for (const name of settingNames) {
    const setting = settingOf(name);
    const found = givenFor(name, given.flags ?? {}, around, file);
    origins[name] = found?.origin ?? 'default';
    weights[name] = found?.weight ?? 0;
    const value = found === undefined ? setting.fallback : parseValue(setting, found.text);
    if (found !== undefined && value === undefined) {
      const shown = setting.secret ? 'the value' : JSON.stringify(found.text);
      problems.push(`${found.origin}: ${name}: ${shown} is refused, wants ${boundsOf(setting)}`);
    }
    values[name] =
      found !== undefined && setting.kind === 'path' ? resolve(found.base, String(value)) : (value ?? setting.fallback);
  }
  const settled = values as unknown as Settings;
  settle(settled, origins, around);
  if ((weights['server.keyFile'] ?? 0) > (weights['server.key'] ?? 0)) readKey(settled, origins, around, problems);
  problems.push(...together(settled, origins));
  const pollers = file.pollers.map((poller) => ({
    ...poller,
    intervalMs: poller.intervalMs || settled['poll.interval'],
    timeoutMs: poller.timeoutMs || settled['poll.timeout'],
  }));
  const flaws: Flaw[] = [];
  const tunnels = watchedTunnels(file.tunnels, pollers, flaws);
  problems.push(...flaws.map((flaw) => flawLine(file.path, flaw)));
  if (problems.length > 0) throw new ConfigError(problems);
  return { values: settled, origins: origins as Record<SettingName, string>, pollers, tunnels, file: file.path };
};

const readFile = (named: string | undefined, around: Surroundings, problems: string[]): FileSettings => {
  const path = named === undefined ? DEFAULT_FILE : resolve(around.cwd, named);
  let content: string | null = null;
  try {
    content = around.read(path);
    if (content === null && named !== undefined) problems.push(`${path}: no such settings file`);
  } catch (error) {
    problems.push(`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const file = fileSettings(content === null ? '' : path, content ?? '');
  problems.push(...file.problems);
  return file;
};

const givenFor = (name: SettingName, flags: Flags, around: Surroundings, file: FileSettings): Given | undefined => {
  const { flag, olderEnv } = settingOf(name);
  const base = around.cwd;
  const text = flags[name];
  if (text !== undefined) return { text, origin: `flag --${flag}`, weight: 3, base };
  for (const variable of [variableOf(name), olderEnv]) {
    // An empty variable counts as not set: that is how a shell switches one off.
    const value = variable === '' ? undefined : around.env[variable];
    if (value !== undefined && value !== '') return { text: value, origin: `environment ${variable}`, weight: 2, base };
  }
  const leaf = file.values.get(name);
  if (leaf === undefined) return undefined;
  return {
    text: leaf.text,
    origin: `${file.path}:${leaf.at.line}:${leaf.at.column}`,
    weight: 1,
    base: dirname(file.path),
  };
};

/** Variables that look like ours and are none: a typo would silently change nothing. */
const strangers = (env: Surroundings['env']): string[] => {
  const known = [...settingNames.map(variableOf), 'TOLLGATE_AGENT_CONFIG'];
  return Object.keys(env)
    .filter((name) => name.startsWith('TOLLGATE_AGENT_') && !known.includes(name))
    .map((name) => {
      const near = nearest(name, known);
      return `environment ${name}: there is no such setting${near === '' ? '' : `; did you mean ${near}?`}`;
    });
};

/** Fills in what is worked out at start. */
const settle = (values: Settings, origins: Record<string, string>, around: Surroundings): void => {
  const put = (
    name: 'source' | 'state.folder' | 'state.file' | 'status.file' | 'spool.folder',
    value: string,
    why: string,
  ) => {
    if (values[name] !== '' || value === '') return;
    values[name] = value;
    origins[name] = why;
  };
  // systemd gives a list when a unit asks for several.
  const first = (name: string): string => (around.env[name] ?? '').split(':')[0] ?? '';
  put('source', `host/${around.hostname}`, 'machine name');
  put('state.folder', first('STATE_DIRECTORY'), 'environment STATE_DIRECTORY');
  const folder = values['state.folder'];
  const runtime = first('RUNTIME_DIRECTORY');
  put('status.file', runtime && join(runtime, 'status.json'), 'environment RUNTIME_DIRECTORY');
  put('status.file', folder && join(folder, 'status.json'), 'state.folder');
  put('state.file', folder && join(folder, 'interfaces.json'), 'state.folder');
  put('spool.folder', folder && join(folder, 'spool'), 'state.folder');
};

const readKey = (values: Settings, origins: Record<string, string>, around: Surroundings, problems: string[]): void => {
  const path = values['server.keyFile'];
  const found = keyIn(path, around);
  if ('key' in found) {
    values['server.key'] = found.key;
    origins['server.key'] = path;
  } else problems.push(`${origins['server.keyFile']}: server.keyFile: ${path} ${found.wrong}`);
};

const keyIn = (path: string, around: Surroundings): { key: string } | { wrong: string } => {
  try {
    const mode = around.mode(path);
    const key = around.read(path)?.trim();
    if (key === undefined) return { wrong: 'does not exist' };
    if (mode !== null && (mode & 0o077) !== 0) {
      const shown = mode.toString(8).padStart(4, '0');
      return { wrong: `can be read by others (mode ${shown}); run: chmod 0600 ${path}` };
    }
    const isKey = key !== '' && parseValue(settingOf('server.key'), key) !== undefined;
    return isKey ? { key } : { wrong: 'holds no key' };
  } catch (error) {
    return { wrong: `cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  }
};

/** Rules over several settings. */
const together = (values: Settings, origins: Record<string, string>): string[] => {
  const problems: string[] = [];
  if (900_000 % values['measure.bucket'] !== 0)
    problems.push(
      `${origins['measure.bucket']}: measure.bucket: must divide 15 minutes evenly (10s, 15s, 30s, 1m, 5m ...), so that no bucket crosses a window`,
    );
  if (values['spool.segmentBytes'] * 2 > values['spool.maxBytes'])
    problems.push(
      `${origins['spool.segmentBytes']}: spool.segmentBytes: wants at most half of spool.maxBytes, so that one segment can go while the next is written`,
    );
  return problems;
};
