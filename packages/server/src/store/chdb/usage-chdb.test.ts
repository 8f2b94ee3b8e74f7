import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { usageContract } from '../contract/usage-contract.ts';
import { openChdb } from './usage-chdb.ts';

/** Where syncs cost nothing: these cases ask what is stored, the crash tests ask whether it is on disk. */
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

usageContract('chDB', async () => {
  const folder = await mkdtemp(join(memory, 'tollgate-chdb-'));
  const directory = join(folder, 'store');
  let store = await openChdb({ directory });
  return {
    store,
    folder,
    again: async () => {
      await store.close();
      store = await openChdb({ directory });
      return store;
    },
    drop: async () => {
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
});
