/** What is made from the code is fresh, and the code uses only what the registry of errors knows. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { errors } from './errors.ts';
import { generatedFiles } from './reference.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

test('generated files are as the code would make them now (node packages/server/bin/generate.js)', async () => {
  for (const { path, content } of await generatedFiles()) {
    assert.ok(existsSync(join(root, path)), `${path} is missing`);
    assert.equal(readFileSync(join(root, path), 'utf8'), content, `${path} is stale`);
  }
});

test('every error code that is thrown stands in the registry', () => {
  const folder = join(root, 'packages/server/src');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (f) => f.endsWith('.ts') && !f.endsWith('.test.ts'),
  );
  const thrown = /new (?:Problem|StoreError|UsageError)\(\s*'([a-z_]+\.[a-z_]+)'/g;
  const unknown = files.flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(thrown)]
      .filter((m) => !Object.hasOwn(errors, m[1] ?? ''))
      .map((m) => `${file}: ${m[1]}`),
  );
  assert.deepEqual(unknown, []);
});
