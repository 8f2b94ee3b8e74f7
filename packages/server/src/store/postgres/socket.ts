/** The private folder PostgreSQL's socket lives in. A socket's path holds at most 107 bytes, so the folder's is short. */
import { chmodSync, chownSync, lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { asStoreError, shortName } from '../data-dir.ts';
import { codeOf, StoreError } from '../errors.ts';
import { PORT } from './cluster.ts';
import { makeWalkable, type ServiceUser } from './service-user.ts';

export interface SocketSettings {
  /** The data directory. */
  root: string;
  uid: number;
  /** Where root's services keep what lives until the next boot. */
  run: string;
  /** The system's folder for temporary files. */
  temp: string;
}

const LONGEST = 106;

export const fits = (folder: string): boolean => Buffer.byteLength(join(folder, `.s.PGSQL.${PORT}`)) <= LONGEST;

/** Makes the folder, or finds it as it was left. As root under /run, as anyone else in the data directory, else in temp. */
export function socketFolder(settings: SocketSettings, user: ServiceUser, log: (line: string) => void): string {
  const name = shortName(settings.root);
  const first = settings.uid === 0 ? join(settings.run, 'tollgate', name) : join(settings.root, 'run');
  if (fits(first)) {
    try {
      if (settings.uid === 0) shared(join(settings.run, 'tollgate'));
      own(first, user);
      makeWalkable(first, user, log);
      return first;
    } catch (error) {
      // No /run in this container, or a read-only one.
      if (error instanceof StoreError || !['EACCES', 'EROFS', 'ENOENT', 'EPERM'].includes(codeOf(error))) throw error;
    }
  }
  const second = [settings.temp, '/tmp'].map((temp) => join(temp, `tollgate-${settings.uid}-${name}`)).find(fits);
  if (second === undefined) throw new StoreError('store.misuse', `No folder for a socket is short enough: ${first}.`);
  try {
    own(second, user);
  } catch (error) {
    throw asStoreError(error, second);
  }
  makeWalkable(second, user, log);
  return second;
}

function shared(path: string): void {
  try {
    mkdirSync(path, { mode: 0o711 });
    chmodSync(path, 0o711);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

/** In a folder everyone may write to, somebody else may have been first: what is there must be ours already. */
function own(path: string, user: ServiceUser): void {
  try {
    mkdirSync(path, { mode: 0o700 });
    if (!user.self) chownSync(path, user.uid, user.gid);
    return;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
  const stat = lstatSync(path);
  const ours = stat.uid === user.uid || stat.uid === process.getuid?.();
  if (!stat.isDirectory() || !ours)
    throw new StoreError('store.not_writable', `${path} is in the way of the control store's socket and not ours.`, {
      hint: `Look whose it is, and remove it.`,
    });
  chmodSync(path, 0o700);
  if (!user.self) chownSync(path, user.uid, user.gid);
}
