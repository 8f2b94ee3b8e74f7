/** Files of the daemon in real life: the mapping, what outlives a restart, the status. */
import { mkdirSync, readFileSync, statSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Report } from '../publisher.ts';
import { realDisk } from '../real.ts';
import type { AgentConfig } from './config.ts';
import { type DaemonWorld, passMemory } from './daemon.ts';
import { type MappingFiles, SETTLED_MS } from './mapping-watch.ts';

export const realMappingFiles: MappingFiles = {
  read: (path) => readFileSync(path, 'utf8'),
  stamp: (path) => {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${size} ${ino}`;
  },
};

/** An editor writes in several steps; the last one is what counts. */
const SETTLE_MS = 100;

/**
 * Tells of changes at once, and once more when what is there now has had the time to be changed again. The folder is watched, because editors replace the file. Only a help: it tells nothing on
 * some file systems, so the mapping is also looked at before every pass.
 */
export const watchFile = (path: string, changed: () => void): (() => void) => {
  let timer: NodeJS.Timeout | undefined;
  try {
    const watcher = watch(dirname(path), { persistent: false }, (_event, name) => {
      if (name !== null && name !== basename(path)) return;
      clearTimeout(timer);
      timer = setTimeout(() => {
        changed();
        timer = setTimeout(changed, SETTLED_MS + SETTLE_MS).unref();
      }, SETTLE_MS).unref();
    });
    watcher.on('error', () => watcher.close());
    return () => {
      clearTimeout(timer);
      watcher.close();
    };
  } catch {
    return () => undefined;
  }
};

/** Without a folder nothing is remembered, but for the interfaces when a file is named for them. */
export const memoryOf = ({ values, pollers }: AgentConfig, report: (report: Report) => void): DaemonWorld['memory'] => {
  const folder = values['state.folder'];
  const interfaces = passMemory(pollers.find(({ kind }) => kind === 'linux')?.name ?? '');
  const pathOf = (name: string): string => {
    if (name === interfaces && values['state.file'] !== '') return values['state.file'];
    return folder === '' ? '' : join(folder, `${name}.json`);
  };
  let failed = '';
  return {
    read(name) {
      try {
        return realDisk.read(pathOf(name));
      } catch {
        return null;
      }
    },
    write(name, content) {
      const path = pathOf(name);
      if (path === '') return;
      try {
        realDisk.replace(path, content);
        failed = '';
      } catch (error) {
        const message = `cannot remember ${name}: ${error instanceof Error ? error.message : String(error)}`;
        if (message !== failed) report({ level: 'warn', message });
        failed = message;
      }
    },
  };
};

/** Makes the folders the settings name. Throws when one cannot be made. */
export const makeFolders = ({ values }: AgentConfig): void => {
  const folders = [values['state.folder'], values['status.file'] && dirname(values['status.file'])];
  for (const folder of folders) if (folder) mkdirSync(folder, { recursive: true, mode: 0o750 });
};
