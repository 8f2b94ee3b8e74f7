/**
 * Who PostgreSQL runs as. It refuses to run as root, so a root server hands its cluster to a user of the service, who
 * must be able to walk to the cluster, the programs and the socket. Anyone else runs it as themselves.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError } from '../errors.ts';

export interface ServiceUser {
  name: string;
  uid: number;
  gid: number;
  /** Whether it is the user we run as ourselves: nothing needs to be handed over. */
  self: boolean;
}

export interface UserSettings {
  /** Our own. */
  uid: number;
  gid: number;
  /** The user wanted when we are root; made when it is missing and `useradd` is there. */
  wanted: string;
  /** Command that makes a system user; '' never makes one. */
  useradd: string;
  passwd: string;
}

export const userDefaults: Pick<UserSettings, 'wanted' | 'useradd' | 'passwd'> = {
  wanted: 'tollgate',
  useradd: 'useradd',
  passwd: '/etc/passwd',
};

/**
 * The owner of an existing cluster stays its user: a machine that gains or loses `useradd` must still open it.
 * Otherwise: ourselves; or as root the wanted user, made if need be, or else `nobody`.
 */
export function chooseServiceUser(settings: UserSettings, cluster: string, log: (line: string) => void): ServiceUser {
  const owner = statSync(cluster, { throwIfNoEntry: false });
  if (settings.uid !== 0) {
    if (owner !== undefined && owner.uid !== settings.uid) throw foreign(cluster, nameOf(owner.uid, settings.passwd));
    return { name: nameOf(settings.uid, settings.passwd), uid: settings.uid, gid: settings.gid, self: true };
  }
  if (owner !== undefined && owner.uid !== 0)
    return { name: nameOf(owner.uid, settings.passwd), uid: owner.uid, gid: owner.gid, self: false };
  return findUser(settings.wanted, settings.passwd) ?? makeUser(settings, log) ?? nobody(settings.passwd, log);
}

function makeUser(settings: UserSettings, log: (line: string) => void): ServiceUser | null {
  if (settings.useradd === '') return null;
  const args = [
    '--system',
    '--user-group',
    '--no-create-home',
    '--home-dir',
    '/nonexistent',
    '--shell',
    '/usr/sbin/nologin',
    settings.wanted,
  ];
  // Root's PATH may lack the sbin folders (su without a dash).
  for (const command of [settings.useradd, `/usr/sbin/${settings.useradd}`]) {
    if (spawnSync(command, args, { stdio: 'ignore', timeout: 10_000 }).error !== undefined) continue;
    const made = findUser(settings.wanted, settings.passwd);
    if (made !== null) log(`made the system user ${made.name}, which PostgreSQL runs as`);
    return made;
  }
  return null;
}

function nobody(passwd: string, log: (line: string) => void): ServiceUser {
  log('no system user could be made: PostgreSQL runs as nobody');
  return findUser('nobody', passwd) ?? { name: 'nobody', uid: 65_534, gid: 65_534, self: false };
}

function entries(passwd: string): string[][] {
  try {
    const lines = readFileSync(passwd, 'utf8').split('\n');
    return lines.map((line) => line.split(':')).filter((fields) => fields.length >= 4);
  } catch {
    return [];
  }
}

function findUser(name: string, passwd: string): ServiceUser | null {
  const entry = entries(passwd).find((fields) => fields[0] === name);
  const [uid, gid] = [Number(entry?.[2]), Number(entry?.[3])];
  return Number.isInteger(uid) && Number.isInteger(gid) && uid > 0 ? { name, uid, gid, self: false } : null;
}

const nameOf = (uid: number, passwd: string): string =>
  entries(passwd).find((fields) => Number(fields[2]) === uid)?.[0] ?? `uid ${uid}`;

/**
 * Opens the folders above and including `path` for walking (never for listing) by the service user, where they belong to
 * us. Folders of other people are left alone: the answer is an error that names them.
 */
export function makeWalkable(path: string, user: ServiceUser, log: (line: string) => void): void {
  if (user.self) return;
  for (const folder of ancestors(path)) {
    const { uid, gid, mode } = statSync(folder);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) !== 0) continue;
    if (uid !== 0) throw unreachable(folder, user);
    try {
      chmodSync(folder, (mode & 0o7777) | 0o011);
    } catch (cause) {
      throw unreachable(folder, user, cause);
    }
    log(`opened ${folder} for walking (not for listing), so that the user ${user.name} can reach ${path}`);
  }
}

function ancestors(path: string): string[] {
  const above = dirname(path);
  return above === path ? [path] : [...ancestors(above), path];
}

const unreachable = (folder: string, user: ServiceUser, cause?: unknown): StoreError =>
  new StoreError(
    'store.not_writable',
    `The user ${user.name}, whom PostgreSQL runs as, cannot walk through ${folder}.`,
    {
      hint: `Allow it (chmod o+x ${folder}), or choose a data directory elsewhere with TOLLGATE_DATA_DIR.`,
      cause,
    },
  );

const foreign = (cluster: string, owner: string): StoreError =>
  new StoreError('store.not_writable', `${cluster} belongs to ${owner}, and PostgreSQL runs only as its owner.`, {
    hint: `Start the server as ${owner} or as root, or choose another data directory with TOLLGATE_DATA_DIR.`,
  });
