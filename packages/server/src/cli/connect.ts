/** The server a command speaks to: named by URL and key, or the local one, found by its data directory. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@tollgate/client';
import { type Config, ConfigError, loadConfig, type RawValues, type SettingName, settings } from '../config.ts';
import { CliError, Exit, type Io } from './io.ts';

/** Written by a server when it listens, taken away when it stops. */
export interface ServerFile {
  url: string;
  pid: number;
  version: string;
  startedAt: number;
}
export const SERVER_FILE = 'server.json';
export const ADMIN_KEY_FILE = 'admin.key';

export const configOf = (io: Io): Config => {
  const flags: RawValues = {};
  for (const name of Object.keys(settings) as SettingName[])
    if (io.flags[name] !== undefined) flags[name] = io.flags[name];
  try {
    return loadConfig(flags);
  } catch (error) {
    if (error instanceof ConfigError)
      throw new CliError(Exit.usage, error.message, 'All settings: docs/reference/settings.md');
    throw error;
  }
};

const read = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    if (code === 'EACCES')
      throw new CliError(
        Exit.refused,
        `${path} belongs to somebody else`,
        'Run as the user who started the server, or set TOLLGATE_URL and TOLLGATE_KEY.',
      );
    throw error;
  }
};

export const readServerFile = (dataDir: string): ServerFile | null => {
  const text = read(join(dataDir, SERVER_FILE));
  if (text === null) return null;
  try {
    return JSON.parse(text) as ServerFile;
  } catch {
    // Torn while it was written: as good as none.
    return null;
  }
};

export const connect = (io: Io): Client => {
  const config = configOf(io);
  const url = config.url || readServerFile(config.dataDir)?.url;
  if (!url)
    throw new CliError(
      Exit.unreachable,
      `No server has its data in ${config.dataDir}`,
      'Start one with `npm start`, or name one with TOLLGATE_URL and TOLLGATE_KEY (or its folder with TOLLGATE_DATA_DIR).',
    );
  const key = config.key || read(join(config.dataDir, ADMIN_KEY_FILE))?.trim() || '';
  if (key === '')
    throw new CliError(
      Exit.refused,
      'There is no key to show to the server',
      'Set TOLLGATE_KEY; keys are made with `tollgate keys create` on the machine of the server.',
    );
  return new Client({ url, key });
};
