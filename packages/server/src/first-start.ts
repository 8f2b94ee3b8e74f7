/** What a new installation begins with: an account, the administrator's key, the local collector's key. Repeatable. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { resourceOf, type SeenInterface } from '@tollgate/agent';
import { hashSecret } from './api/auth.ts';
import { keyOf } from './api/keys.ts';
import { isZone } from './domain/calendar.ts';
import type { ControlBody, KeyFact } from './domain/control-fact.ts';
import type { ControlLog } from './store/control-log.ts';
import { writeDurably } from './store/data-dir.ts';
import { codeOf } from './store/errors.ts';

export interface FirstStartSettings {
  dataDir: string;
  /** '' for the zone of the machine. */
  zone: string;
  currency: string;
  defaultAccount: string;
  /** Name of the local collector. */
  source: string;
  newSecret(): string;
}

export interface Credentials {
  admin: string;
  collector: string;
  /** The administrator's key was made now: show it. */
  adminIsNew: boolean;
}

const system = (reason: string) => ({ tenant: '', author: 'system', reason });

/** The zone the machine is set to; UTC when it says nothing usable. */
export const machineZone = (): string => {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  return timeZone && isZone(timeZone) ? timeZone : 'UTC';
};

const readSecret = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
};

/**
 * The secret in the file, if its key is on record; otherwise a new one. The file comes first: a crash in between leaves
 * a secret that opens nothing, and the next start makes another.
 */
const secretIn = async (
  log: ControlLog,
  path: string,
  settings: FirstStartSettings,
  more: Pick<KeyFact, 'name' | 'account' | 'scopes' | 'sources'>,
): Promise<{ secret: string; isNew: boolean }> => {
  const kept = readSecret(path);
  const known = kept === null ? undefined : log.book.keyByHash(hashSecret(kept));
  if (kept !== null && known !== undefined && more.sources.every((s) => known.sources.includes(s)))
    return { secret: kept, isNew: false };
  const secret = settings.newSecret();
  writeDurably(path, `${secret}\n`, 0o600);
  await log.append([keyOf(secret, more)], system(`${more.name} made at start`));
  return { secret, isNew: true };
};

export const prepareInstallation = async (log: ControlLog, settings: FirstStartSettings): Promise<Credentials> => {
  const { defaultAccount: id, currency } = settings;
  if (log.book.account(id) === undefined) {
    const zone = settings.zone === '' ? machineZone() : settings.zone;
    await log.append(
      [{ kind: 'account', id, parent: null, name: id, zone, currency, state: 'active' }],
      system('first start'),
    );
  }
  const admin = await secretIn(log, join(settings.dataDir, 'admin.key'), settings, {
    name: 'administrator',
    account: null,
    scopes: ['ingest', 'read', 'admin'],
    sources: ['*'],
  });
  const collector = await secretIn(log, join(settings.dataDir, 'collector.key'), settings, {
    name: 'local collector',
    account: null,
    scopes: ['ingest'],
    sources: [settings.source],
  });
  return { admin: admin.secret, collector: collector.secret, adminIsNew: admin.isNew };
};

/** For a server that writes nothing: the administrator's key as far as it is kept and known, '' otherwise. */
export const keptCredentials = (log: ControlLog, dataDir: string): Credentials => {
  const kept = readSecret(join(dataDir, 'admin.key'));
  const known = kept !== null && log.book.keyByHash(hashSecret(kept)) !== undefined;
  return { admin: known ? kept : '', collector: '', adminIsNew: false };
};

/** What the loopback device carries never leaves the machine: kept apart, and by its type not billable. */
const trafficTypeOf = (name: string): 'management' | null => (name === 'lo' ? 'management' : null);

/**
 * Describes interfaces not seen before and gives those of nobody to the default account, from the beginning. One that is
 * called otherwise now gets its new name, unless somebody had given it one of their own. Returns the ids of new ones.
 */
export const adoptInterfaces = async (
  log: ControlLog,
  source: string,
  account: string,
  interfaces: readonly SeenInterface[],
): Promise<string[]> => {
  const fresh: string[] = [];
  const bodies = interfaces.flatMap(({ id: label, name, was }): ControlBody[] => {
    const id = resourceOf(source, label);
    const known = log.book.resource('', id);
    if (known !== undefined) {
      const { tenant: _tenant, ...body } = known;
      return was !== undefined && known.name === was ? [{ ...body, name }] : [];
    }
    fresh.push(label);
    const described: ControlBody = {
      kind: 'resource',
      id,
      trafficType: trafficTypeOf(name),
      tag: '',
      billable: null,
      name,
    };
    // Somebody may have given it away before it was ever seen.
    const owned = [...log.book.ownerIntervals('', id, 0, Number.MAX_SAFE_INTEGER)].some((o) => o.account !== null);
    return owned ? [described] : [described, { kind: 'owner', resource: id, account, from: 0 }];
  });
  if (bodies.length > 0) await log.append(bodies, system('found by the local collector'));
  return fresh;
};
