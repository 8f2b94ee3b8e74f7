import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ConfigError,
  checkListen,
  isLoopback,
  loadConfig,
  type RawValues,
  type Surroundings,
  settings,
} from './config.ts';

const around = (more: Partial<Surroundings> = {}): Surroundings => ({
  env: {},
  uid: 1000,
  home: '/home/u',
  cwd: '/tmp',
  read: () => null,
  ...more,
});
const refusal = (flags: RawValues, more: Partial<Surroundings> = {}): string => {
  try {
    loadConfig(flags, around(more));
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return '';
};

test('weight grows from default over file and environment to flag', () => {
  const check = (expected: number, flags: RawValues, env: Record<string, string>, file: string | null) =>
    assert.equal(loadConfig(flags, around({ env, read: () => file })).httpPort, expected);
  check(8080, {}, {}, null);
  check(1000, {}, {}, 'httpPort: 1000');
  check(2000, {}, { TOLLGATE_HTTP_PORT: '2000' }, 'httpPort: 1000');
  check(3000, { httpPort: '3000' }, { TOLLGATE_HTTP_PORT: '2000' }, 'httpPort: 1000');
  check(8080, {}, { TOLLGATE_HTTP_PORT: '' }, null);
});

test('a refused value is named by where it came from, with its bounds, and all of them at once', () => {
  assert.equal(
    refusal({ httpPort: '99999' }),
    'flag --http-port: "99999" is refused, wants a whole number of port from 0 to 65535',
  );
  assert.match(
    refusal({}, { env: { TOLLGATE_POLL_SECONDS: '1.5' } }),
    /environment variable TOLLGATE_POLL_SECONDS: "1.5" is refused, wants a whole number of s from 1 to 3600/,
  );
  assert.match(
    refusal({}, { read: () => 'collector: maybe' }),
    /collector in \S+tollgate.yaml: "maybe" is refused, wants true or false/,
  );
  assert.match(refusal({ logLevel: 'loud' }), /wants one of fatal, error/);
  assert.match(refusal({}, { read: () => 'htpPort: 1' }), /there is no setting "htpPort"; known are/);
  assert.match(refusal({}, { read: () => ': : :' }), /tollgate.yaml: not YAML/);
  assert.match(refusal({}, { read: () => '- 1' }), /wants "name: value" lines/);
  assert.match(refusal({}, { read: () => 'dataDir: /x' }), /dataDir cannot be set in the file/);
  assert.match(refusal({ configFile: '/none.yaml' }), /\/none.yaml: no such settings file/);
  assert.equal(refusal({ httpPort: 'x', pollSeconds: '0' }).split('\n').length, 2);
});

test('a key is never shown in a refusal', () => {
  assert.doesNotMatch(refusal({ key: `tg_${'s'.repeat(5000)}` }), /ssss/);
});

test('the data directory follows the user', () => {
  const dir = (more: Partial<Surroundings>) => loadConfig({}, around(more)).dataDir;
  assert.equal(dir({ uid: 0 }), '/var/lib/tollgate');
  assert.equal(dir({}), '/home/u/.local/share/tollgate');
  assert.equal(dir({ env: { XDG_DATA_HOME: '/data' } }), '/data/tollgate');
  assert.equal(dir({ env: { XDG_DATA_HOME: 'relative' } }), '/home/u/.local/share/tollgate');
  assert.equal(dir({ env: { TOLLGATE_DATA_DIR: 'here' } }), '/tmp/here');
});

test('an address that others can reach asks for TLS or an explicit word', () => {
  const check = (more: Partial<Parameters<typeof checkListen>[0]>) =>
    checkListen({ httpHost: '127.0.0.1', rlsHost: '127.0.0.1', insecure: false, tlsCert: '', tlsKey: '', ...more });
  check({});
  check({ httpHost: '::1' });
  check({ httpHost: '0.0.0.0', insecure: true });
  check({ httpHost: '10.0.0.1', tlsCert: 'c', tlsKey: 'k' });
  assert.throws(() => check({ httpHost: '0.0.0.0' }), /TOLLGATE_HTTP_HOST: 0.0.0.0 can be reached from outside/);
  assert.throws(() => check({ rlsHost: '0.0.0.0' }), /TOLLGATE_RLS_HOST: 0.0.0.0 can be reached from outside/);
  assert.throws(() => check({ tlsCert: 'c' }), /go together/);
  assert.ok(!isLoopback('127.0.0.1.example.org'));
});

test('every setting has its own flag and variable, and its default lies within its bounds', () => {
  const all = Object.values(settings);
  assert.equal(new Set(all.map((s) => s.flag)).size, all.length);
  assert.equal(new Set(all.map((s) => s.env)).size, all.length);
  for (const s of all) if (s.kind === 'whole') assert.ok(s.fallback >= s.min && s.fallback <= s.max, s.flag);
});
