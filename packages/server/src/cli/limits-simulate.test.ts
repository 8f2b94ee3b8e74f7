import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openCli } from './testing/terminal.ts';

test('a limit is tried on the past before anybody is refused', async (t) => {
  const { tollgate } = await openCli(t);
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-simulate-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'limit.yaml');
  writeFileSync(file, 'key: sent\nmeter: network.bytes.sent\nfeed: metered\nquota: 10 MB\nper: day\n');
  const line = ['limits', 'simulate', file, '--from', '2026-11-01T00:00:00Z'];
  const ran = await tollgate(line);
  assert.deepEqual([ran.code, ran.out], [0, 'Nobody would have been refused.\n'], ran.err);
  assert.deepEqual(JSON.parse((await tollgate([...line, '--json'])).out), []);
  writeFileSync(file, 'key: sent\nmeter: nothing\nquota: 1\nper: day\n');
  assert.match((await tollgate(line)).err, /limit\.invalid/);
});
