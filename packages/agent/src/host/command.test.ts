/** The command as a process of its own, against a server that is a few lines of node:http. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ReadingsBatch } from '@tollgate/event';
import { outcomeOf } from '../publish/testing/outcome.ts';
import { runCommand } from './command.ts';
import { statusPage } from './daemon-status.ts';
import type { Reconciliation } from './encapsulation.ts';
import { asTexts } from './encapsulation-report.ts';

const skip = process.platform !== 'linux' && 'needs linux';
const main = fileURLToPath(new URL('../main.js', import.meta.url));

interface Place {
  folder: string;
  file(name: string, content: string, mode?: number): string;
  batches: ReadingsBatch[];
  url: string;
}

const inPlace = async (use: (place: Place) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-agent-'));
  const batches: ReadingsBatch[] = [];
  const server: Server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => {
      body += part.toString();
    });
    request.on('end', () => {
      const known = request.headers.authorization === 'Bearer tg_test';
      if (known) batches.push(JSON.parse(body) as ReadingsBatch);
      response.writeHead(known ? 200 : 401).end(outcomeOf(1));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const file = (name: string, content: string, mode = 0o600): string => {
    writeFileSync(join(folder, name), content, { mode });
    return join(folder, name);
  };
  try {
    await use({ folder, file, batches, url: `http://127.0.0.1:${address.port}` });
  } finally {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  }
};

const env = { PATH: process.env.PATH ?? '' };
const agent = (...args: string[]): ChildProcess => spawn(process.execPath, [main, ...args], { env });

const finished = async (child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> => {
  const said = { out: '', err: '' };
  child.stdout?.on('data', (part: Buffer) => {
    said.out += part.toString();
  });
  child.stderr?.on('data', (part: Buffer) => {
    said.err += part.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...said };
};

const until = async (what: () => boolean): Promise<void> => {
  for (let look = 0; look < 400 && !what(); look++) await new Promise((resolve) => setTimeout(resolve, 25));
  assert.ok(what(), what.toString());
};

const settingsFile = ({ file, url }: Place): string => {
  file('agent.key', 'tg_test\n');
  file(
    'mapping.yaml',
    'objects:\n  - { match: { poller: linux, name: lo }, account: acme, trafficType: management }\n',
  );
  const state = 'state: { folder: state }\nstatus: { interval: 1s }\n';
  return file(
    'agent.yaml',
    `server: { url: "${url}", keyFile: agent.key }\nsource: host/t\nmapping: mapping.yaml\n${state}poll: { interval: 1s }\n`,
  );
};

test('one pass is sent with the flags there have always been', { skip }, () =>
  inPlace(async ({ url, batches, folder }) => {
    const state = join(folder, 'last.json');
    const flags = ['--url', url, '--key', 'tg_test', '--source', 'host/old', '--interval', '5', '--state', state];
    const { code, err } = await finished(agent('--once', ...flags));
    assert.equal(code, 0, err);
    assert.equal(batches[0]?.source, 'host/old');
    assert.ok(batches[0]?.series.some(({ resource, period }) => resource === 'host/old/lo' && period === 5000));
    assert.ok('lo' in (JSON.parse(readFileSync(state, 'utf8')) as { interfaces: object }).interfaces);
  }),
);

test(
  'the daemon publishes, takes a changed mapping over, shows its status, and ends on SIGTERM with a last pass',
  { skip },
  () =>
    inPlace(async (place) => {
      const config = settingsFile(place);
      const child = agent('--config', config);
      const end = finished(child);
      const hints = () => place.batches.flatMap((b) => [...(b.resources ?? [])]).filter(({ id }) => id === 'host/t/lo');
      await until(() => hints().length === 1);
      assert.deepEqual(hints()[0]?.owners, [{ account: 'acme', from: 0 }]);
      place.file('mapping.yaml', 'objects:\n  - { match: { name: lo }, account: globex }\n');
      child.kill('SIGHUP');
      await until(() => hints().length === 2);
      assert.deepEqual(hints()[1]?.owners, [{ account: 'globex', from: 0 }]);
      const status = join(place.folder, 'state', 'status.json');
      await until(() => existsSync(status));
      const shown = await finished(agent('status', '--config', config));
      assert.equal(shown.code, 0, shown.err);
      assert.match(shown.out, /^running since /);
      assert.match(shown.out, /^linux +\d+ s ago /m);
      assert.equal(statSync(status).mode & 0o077, 0);
      const before = place.batches.length;
      child.kill('SIGTERM');
      assert.equal((await end).code, 0);
      assert.ok(place.batches.length > before);
    }),
);

test('what is present is shown with what it would belong to, and nothing is sent', { skip }, () =>
  inPlace(async (place) => {
    const config = settingsFile(place);
    const { code, out } = await finished(agent('check', '--config', config, '--json'));
    const found = JSON.parse(out) as {
      objects: { object: string; account: string; line: number }[];
      problems: string[];
    };
    const lo = found.objects.find(({ object }) => object === 'lo');
    assert.deepEqual([lo?.account, lo?.line], ['acme', 2]);
    assert.equal(code, found.problems.length > 0 ? 1 : 0);
    place.file('mapping.yaml', 'objects:\n  - { match: { nme: lo }, account: acme }\n');
    const bad = await finished(agent('check', '--config', config));
    assert.equal(bad.code, 1);
    assert.match(bad.err, /mapping\.yaml:2:16: there is no field to match "nme"; did you mean "name"\?/);
    assert.deepEqual(place.batches, []);
    place.file('mapping.yaml', 'objects: []\n');
    writeFileSync(config, `${readFileSync(config, 'utf8')}tunnels: [{ name: vx, payload: lo, underlay: no-such }]\n`);
    const lost = await finished(agent('check', '--config', config));
    assert.match(lost.err, /tunnel vx: encapsulation\.no_counters: linux counts none of no-such/);
  }),
);

const terminal = () => {
  const said = { out: '', err: '' };
  return {
    said,
    out: (text: string): void => {
      said.out += text;
    },
    err: (text: string): void => {
      said.err += text;
    },
  };
};
const around = { env: {}, hostname: 'h', cwd: '/', read: () => null, mode: () => null };

test('a wrong command line ends with 2 and says what is right', async () => {
  for (const [args, said] of [
    [['statsu'], /"statsu" is no command; there are run, status, config, check/],
    [['--intervall', '5'], /Unknown option '--intervall'/],
    [['--interval', '0'], /flag --interval: poll.interval: "0s" is refused, wants a time .* from 1s to 1h/],
    [[], /--url \(TOLLGATE_URL, server.url\) wants the address of the server/],
    [['--url', 'http://x'], /--key-file .* wants a key/],
  ] as const) {
    const t = terminal();
    assert.equal(await runCommand(args, t, around), 2, args.join(' '));
    assert.match(t.said.err, said);
  }
});

test('every setting is shown with where it came from, but never a key', async () => {
  const t = terminal();
  const given = { ...around, env: { TOLLGATE_KEY: 'tg_secret', TOLLGATE_AGENT_POLL_INTERVAL: '1m' } };
  assert.equal(await runCommand(['config'], t, given), 0);
  assert.match(t.said.out, /^server\.key +\(set\) +environment TOLLGATE_KEY$/m);
  assert.match(t.said.out, /^poll\.interval +1m +environment TOLLGATE_AGENT_POLL_INTERVAL$/m);
  assert.ok(!t.said.out.includes('tg_secret'));
});

const overhead: Reconciliation = {
  tunnel: 'vx42',
  from: 1,
  to: 2,
  method: 'measured',
  payloadLayer: 'L2',
  underlayLayer: 'L2',
  payloadBytes: 1042n,
  underlayBytes: 1176n,
  overheadBytes: 134n,
  modelledBytes: 50n,
  onWire: false,
  residualBytes: null,
  packets: 1n,
  refusals: [],
};

test('a status that was not written for long says so, and names from outside move no cursor', () => {
  const beat = { passes: 9, failures: 2, lastPassAt: 1, lastTookMs: 3, lastErrorAt: 1, overdueSince: 0 };
  const page = statusPage(
    {
      at: 1000,
      startedAt: 1,
      source: 'host/\u001b[2Jx',
      completeThrough: 0,
      pollers: [
        {
          name: 'nft',
          kind: 'nft',
          intervalMs: 1,
          ...beat,
          inARow: 2,
          lastError: 'no nft',
          objects: 4,
          unmatched: 1,
          unmatchedObjects: ['q'],
          troubles: 0,
          lastTrouble: '',
        },
      ],
      tunnels: [asTexts({ ...overhead, residualBytes: 84n })],
      queue: { waiting: 7, lost: 1 },
      server: {
        lastAnswerAt: 0,
        lastStatus: 0,
        lastAcknowledgedAt: 0,
        failures: 3,
        clock: { offsetMs: -7000, uncertaintyMs: 510, at: 1 },
      },
      mapping: { path: '/m.yaml', rules: 0, version: 0, problems: ['/m.yaml:1:1: not YAML'] },
    },
    3_600_000 + 1000,
  );
  assert.match(page, /^NOT RUNNING: last written 60 min ago$/m);
  assert.match(page, /7000 ms behind the server's, within 510 ms/);
  assert.match(page, /7 readings, in memory; 1 lost or refused for good/);
  assert.match(page, /fails: no nft$/m);
  assert.match(page, /^vx42 +measured +1042 L2 +1176 L2 +134 +no +50 +84 +1$/m);
  assert.ok(!page.includes('\u001b'));
});
