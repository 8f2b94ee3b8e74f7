import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { usageContract } from '../contract/usage-contract.ts';
import { openChdb } from './usage-chdb.ts';

usageContract('chDB', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-chdb-'));
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
