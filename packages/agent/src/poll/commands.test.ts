import assert from 'node:assert/strict';
import { test } from 'node:test';
import { realCommands } from './commands.ts';

test('programs are bounded in time and in what they print, and tell why they failed', async () => {
  const bounds = { timeoutMs: 60_000, maxBytes: 100 };
  assert.equal(await realCommands.run('printf', ['%s', '$HOME; `x`'], bounds), '$HOME; `x`', 'no shell');
  await assert.rejects(realCommands.run('sleep', ['20'], { timeoutMs: 50, maxBytes: 10 }), /did not end within 50 ms/);
  await assert.rejects(realCommands.run('printf', ['%0200d', '1'], bounds), /more than 100 bytes/);
  await assert.rejects(realCommands.run('no-such-program', [], bounds), /ENOENT/);
  await assert.rejects(realCommands.run('ls', ['/no/such/path'], bounds), /^Error: ls: .*No such file/);
  await assert.rejects(realCommands.run('sleep', ['20'], { ...bounds, signal: AbortSignal.abort() }), /abort/);
  assert.equal(await realCommands.run('cat', [], bounds), '', 'nobody waits for input');
});
