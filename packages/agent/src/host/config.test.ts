import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type AgentConfig, ConfigError, DEFAULT_FILE, loadAgentConfig, type Surroundings } from './config.ts';
import { agentPage } from './config-page.ts';
import { settingNames, settingOf, variableOf } from './settings.ts';
import { usageSettings } from './wiring-service.ts';

const FILE = '/conf/agent.yaml';

interface Around {
  yaml?: string;
  env?: Record<string, string>;
  flags?: Record<string, string>;
  files?: Record<string, string>;
  mode?: number;
}

const around = ({ yaml, env = {}, files = {}, mode = 0o600 }: Around): Surroundings => ({
  env,
  hostname: 'edge1',
  cwd: '/here',
  read: (path) => (path === FILE && yaml !== undefined ? yaml : (files[path] ?? null)),
  mode: (path) => (path in files ? mode : null),
});

const load = (given: Around): AgentConfig =>
  loadAgentConfig({ flags: given.flags ?? {}, ...(given.yaml === undefined ? {} : { file: FILE }) }, around(given));

const problemsOf = (given: Around): readonly string[] => {
  try {
    load(given);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems;
  }
  return [];
};

test('without a file, a variable or a flag exactly the tested defaults hold, and the interfaces are polled', () => {
  const { values, pollers, file, origins } = load({});
  assert.equal(file, '');
  assert.deepEqual(
    [values['publish.startupDelay'], values['publish.interval'], values['publish.recordsPerPortion']],
    [60_000, 100, 100],
  );
  assert.deepEqual([values['measure.bucket'], values['poll.interval']], [10_000, 10_000]);
  assert.equal(values.source, 'host/edge1');
  assert.equal(values['state.folder'], '');
  assert.deepEqual(pollers, [{ kind: 'linux', name: 'linux', intervalMs: 10_000, timeoutMs: 30_000, options: {} }]);
  assert.equal(origins['publish.interval'], 'default');
});

test('an empty file is as no file', () => {
  const all = load({ yaml: '# nothing yet\n' });
  assert.deepEqual({ ...all.values }, { ...load({}).values });
  assert.deepEqual(load({ yaml: 'server:\n' }).values, all.values);
});

test('weight grows from file over environment to flag, and each value says where it came from', () => {
  const yaml = 'server:\n  url: http://file\nsource: host/file\npoll:\n  interval: 20s\n';
  const env = { TOLLGATE_URL: 'http://old', TOLLGATE_SOURCE: 'host/env', TOLLGATE_AGENT_POLL_TIMEOUT: '' };
  const got = load({ yaml, env, flags: { source: 'host/flag' } });
  assert.deepEqual([got.values['server.url'], got.origins['server.url']], ['http://old', 'environment TOLLGATE_URL']);
  assert.deepEqual([got.values.source, got.origins.source], ['host/flag', 'flag --source']);
  assert.deepEqual([got.values['poll.interval'], got.origins['poll.interval']], [20_000, `${FILE}:5:13`]);
  const newer = load({ env: { ...env, TOLLGATE_AGENT_SERVER_URL: 'http://new' } });
  assert.equal(newer.values['server.url'], 'http://new');
});

test('paths are relative to the file that names them, else to the current folder', () => {
  const yaml = 'mapping: map.yaml\nspool:\n  folder: /var/spool/t\n';
  const got = load({ yaml, env: { TOLLGATE_AGENT_STATUS_FILE: 'status.json' } }).values;
  assert.deepEqual(
    [got.mapping, got['spool.folder'], got['status.file']],
    ['/conf/map.yaml', '/var/spool/t', '/here/status.json'],
  );
});

test('what systemd gives is where state and status go', () => {
  const { values } = load({ env: { STATE_DIRECTORY: '/var/lib/t', RUNTIME_DIRECTORY: '/run/t' } });
  assert.deepEqual(
    [values['state.file'], values['spool.folder'], values['status.file']],
    ['/var/lib/t/interfaces.json', '/var/lib/t/spool', '/run/t/status.json'],
  );
});

const refused: readonly [yaml: string, line: string][] = [
  [
    'publish:\n  interval: 5ms',
    '2:13: publish.interval: "5ms" is refused, wants a time with its unit (ms, s, m, h, d), from 10ms to 1m',
  ],
  [
    'publish:\n  interval: 100',
    '2:13: publish.interval: "100" is refused, wants a time with its unit (ms, s, m, h, d), from 10ms to 1m',
  ],
  [
    'publish:\n  startupDelay: 2h',
    '2:17: publish.startupDelay: "2h" is refused, wants a time with its unit (ms, s, m, h, d), from 0s to 1h',
  ],
  [
    'publish:\n  recordsPerPortion: 0',
    '2:22: publish.recordsPerPortion: "0" is refused, wants a whole number of records from 1 to 10000',
  ],
  [
    'publish:\n  recordsPerPortion: 1e3',
    '2:22: publish.recordsPerPortion: "1e3" is refused, wants a whole number of records from 1 to 10000',
  ],
  [
    'spool:\n  maxBytes: 10kB',
    '2:13: spool.maxBytes: "10kB" is refused, wants bytes, with or without a unit (kB, KiB, MB, MiB ...), from 1MiB to 1TiB',
  ],
  [
    'spool:\n  segmentBytes: [1]',
    '2:17: spool.segmentBytes is refused, wants bytes, with or without a unit (kB, KiB, MB, MiB ...), from 64KiB to 1GiB',
  ],
  [
    'spool:\n  maxBytes: 2MiB\n  segmentBytes: 2MiB',
    '3:17: spool.segmentBytes: wants at most half of spool.maxBytes, so that one segment can go while the next is written',
  ],
  [
    'measure:\n  bucket: 7s',
    '2:11: measure.bucket: must divide 15 minutes evenly (10s, 15s, 30s, 1m, 5m ...), so that no bucket crosses a window',
  ],
  [
    'measure:\n  bucket: 16m',
    '2:11: measure.bucket: "16m" is refused, wants a time with its unit (ms, s, m, h, d), from 1s to 15m',
  ],
  [
    'poll:\n  interval: 1h1',
    '2:13: poll.interval: "1h1" is refused, wants a time with its unit (ms, s, m, h, d), from 1s to 1h',
  ],
  [
    'server:\n  url: ftp://x',
    '2:8: server.url: "ftp://x" is refused, wants an address, http://... or https://..., of at most 4096 characters',
  ],
  [
    'server:\n  url:',
    '2:7: server.url is refused, wants an address, http://... or https://..., of at most 4096 characters',
  ],
  [
    'server:\n  key: secret',
    '2:8: server.key is not read from here: put the key into a file of its own, named by server.keyFile',
  ],
  ['server:\n  keyfile: k', '2:3: there is no setting "server.keyfile"; did you mean "server.keyFile"?'],
  ['log:\n  level: loud', '2:10: log.level: "loud" is refused, wants one of debug, info, warn, error'],
  ['spol:\n  maxBytes: 1', '1:1: there is no setting "spol"; did you mean "spool"?'],
  [
    'colour: red',
    '1:1: there is no setting "colour"; known are server, source, state, status, spool, publish, measure, poll, mapping, log, pollers, tunnels',
  ],
  ['source: a\nsource: b', '2:1: not YAML: Map keys must be unique'],
  ['source: [', '1:10: not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]'],
  ['- a', '1:1: wants sections such as "server:" with "name: value" lines'],
  ['spool: 5', '1:8: spool wants "name: value" lines below it'],
  ['source: &a x\nmapping: *a', '2:10: aliases are not read here: write the value out'],
  ['pollers: linux', '1:10: pollers wants a list ("- kind: linux")'],
  ['pollers: []', '1:10: pollers wants at least one poller'],
  ['pollers:\n  - interval: 1s', '2:5: a poller wants a kind: linux, nft, iptables, libvirt, openmetrics'],
  ['pollers:\n  - kind: nftables', '2:11: there is no kind of poller "nftables"; did you mean "nft"?'],
  [
    'pollers:\n  - kind: linux\n    intervall: 1s',
    '3:5: there is no option "linux.intervall"; did you mean "linux.interval"?',
  ],
  [
    'pollers:\n  - kind: linux\n    interval: 2h',
    '3:15: linux.interval: "2h" is refused, wants a time with its unit (ms, s, m, h, d), from 1s to 1h',
  ],
  [
    'pollers:\n  - kind: nft\n  - kind: nft',
    '3:5: there is a poller "nft" in line 2 already; give this one a name of its own',
  ],
  [
    'pollers:\n  - kind: nft\n    name: a/b',
    '2:5: nft.name: "a/b" is refused, wants letters, digits, ".", "_" and "-"',
  ],
  [
    'pollers:\n  - kind: nft\n    directions: { a: up }',
    '3:22: nft.directions.a: "up" is refused, wants lines of "name: word", each word one of received, sent',
  ],
  [
    'pollers:\n  - kind: nft\n    directions: up',
    '3:17: nft.directions: "up" is refused, wants lines of "name: word", each word one of received, sent',
  ],
  [
    'pollers:\n  - kind: iptables\n    chains:\n      - table: filter\n        trafficType: guest',
    '4:9: iptables.chains.chain is missing, wants a text of 1 to 64 characters',
  ],
  [
    'pollers:\n  - kind: openmetrics',
    '2:5: openmetrics.url is missing, wants an address, http://... or https://..., of at most 4096 characters',
  ],
];

for (const [yaml, line] of refused)
  test(`refused with its line: ${JSON.stringify(yaml)}`, () => {
    assert.ok(problemsOf({ yaml }).includes(`${FILE}:${line}`), problemsOf({ yaml }).join('\n'));
  });

test('every fault of a file is named, not only the first', () => {
  const yaml = 'publish:\n  interval: 5ms\nspool:\n  maxByte: 5\npollers:\n  - kind: linus\n';
  assert.equal(problemsOf({ yaml }).length, 3);
});

test('a refused variable or flag is named, and a key is never shown', () => {
  assert.deepEqual(problemsOf({ env: { TOLLGATE_AGENT_MEASURE_MAX_KEYS: 'many' } }), [
    'environment TOLLGATE_AGENT_MEASURE_MAX_KEYS: measure.maxKeys: "many" is refused, wants a whole number of keys from 1 to 10000000',
  ]);
  assert.deepEqual(problemsOf({ env: { TOLLGATE_AGENT_SPOOL_MAXBYTES: '1' } }), [
    'environment TOLLGATE_AGENT_SPOOL_MAXBYTES: there is no such setting; did you mean TOLLGATE_AGENT_SPOOL_MAX_BYTES?',
  ]);
  const [line = ''] = problemsOf({ env: { TOLLGATE_KEY: 'tg_\u0007secret' } });
  assert.match(line, /^environment TOLLGATE_KEY: server.key: the value is refused/);
});

test('a file that is named must be there; the usual one need not be', () => {
  assert.deepEqual(
    (() => {
      try {
        loadAgentConfig({ file: 'x.yaml' }, around({}));
      } catch (error) {
        return (error as ConfigError).problems;
      }
      return [];
    })(),
    ['/here/x.yaml: no such settings file'],
  );
  const usual = { ...around({}), read: (path: string) => (path === DEFAULT_FILE ? 'source: host/usual' : null) };
  assert.equal(loadAgentConfig({}, usual).values.source, 'host/usual');
});

test('a key file is read when only its owner may, and what weighs more than it stands', () => {
  const yaml = 'server:\n  keyFile: agent.key\n';
  const files = { '/conf/agent.key': 'tg_1\n' };
  assert.equal(load({ yaml, files }).values['server.key'], 'tg_1');
  assert.equal(load({ yaml, files, mode: 0o400 }).values['server.key'], 'tg_1');
  assert.equal(load({ yaml, files, env: { TOLLGATE_KEY: 'tg_2' } }).values['server.key'], 'tg_2');
  assert.deepEqual(problemsOf({ yaml, files, mode: 0o640 }), [
    `${FILE}:2:12: server.keyFile: /conf/agent.key can be read by others (mode 0640); run: chmod 0600 /conf/agent.key`,
  ]);
  assert.deepEqual(problemsOf({ yaml }), [`${FILE}:2:12: server.keyFile: /conf/agent.key does not exist`]);
  assert.deepEqual(problemsOf({ yaml, files: { '/conf/agent.key': ' \n' } }), [
    `${FILE}:2:12: server.keyFile: /conf/agent.key holds no key`,
  ]);
});

test('options of pollers come as their tables say, and what is not given has its default', () => {
  const yaml = `
poll: { interval: 30s }
pollers:
  - kind: nft
    name: router
    interval: 5s
    tables: [acct, more]
    directions: { in_acme: received }
  - kind: iptables
    chains:
      - { chain: ACCT, device: eth1, trafficType: guest }
  - kind: openmetrics
    url: http://127.0.0.1:9100/metrics
    rules:
      - { metric: m_total, meter: network.bytes.sent, identity: device, joins: [{ metric: info, on: device }] }
`;
  const [nft, iptables, page] = load({ yaml }).pollers;
  assert.deepEqual([nft?.name, nft?.intervalMs, nft?.timeoutMs], ['router', 5000, 30_000]);
  assert.deepEqual(nft?.options.tables, ['acct', 'more']);
  assert.deepEqual(nft?.options.directions, { in_acme: 'received' });
  assert.equal(nft?.options.epoch, 'handle');
  assert.deepEqual(iptables?.options.chains, [
    { table: 'filter', chain: 'ACCT', device: 'eth1', trafficType: 'guest', devices: {} },
  ]);
  assert.equal(iptables?.intervalMs, 30_000);
  const [rule] = (page?.options.rules ?? []) as unknown as { joins: unknown; identity: unknown }[];
  assert.deepEqual(rule?.identity, ['device']);
  assert.deepEqual(rule?.joins, [{ metric: 'info', on: ['device'], take: [], valueAs: '' }]);
});

test('a service gets its settings from the same file, and is told what is missing', () => {
  const yaml = 'server:\n  url: http://s\nspool:\n  folder: spool\nmeasure:\n  bucket: 1m\n';
  const got = usageSettings(load({ yaml, env: { TOLLGATE_KEY: 'tg_1' } }));
  assert.deepEqual(
    [got.url, got.key, got.source, got.spool, got.bucketMs, got.startupDelayMs, got.intervalMs, got.portionRecords],
    ['http://s', 'tg_1', 'host/edge1', '/conf/spool', 60_000, 60_000, 100, 100],
  );
  assert.throws(
    () => usageSettings(load({})),
    /server\.url is not set\nserver\.key is not set\nspool\.folder is not set/,
  );
});

test('every setting has a variable of its own, a meaning, and a default within its bounds', () => {
  const variables = settingNames.map(variableOf);
  assert.equal(new Set(variables).size, variables.length);
  for (const name of settingNames) {
    const { fallback, min, max, about } = settingOf(name);
    assert.ok(about.length > 10, name);
    if (typeof fallback === 'number') assert.ok(fallback >= min && fallback <= max, name);
  }
});

test('the page of settings is as the tables would make it now (node packages/agent/bin/generate.js)', () => {
  assert.equal(readFileSync(new URL('../../../../docs/reference/agent.md', import.meta.url), 'utf8'), agentPage());
});
