import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Place } from './place.ts';
import { TestHost } from './testing/world.ts';

test('a machine that does not tell its uptime has no boot time', () => {
  const host = new TestHost();
  assert.equal(new Place(host.disk, host.commands).bootedAt(2_000_000), 999_000);
  const blind = { ...host.disk, read: () => 'x' };
  assert.equal(new Place(blind, host.commands).bootedAt(2_000_000), 0);
});
