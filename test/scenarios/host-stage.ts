/** A host with two tenants' guests, the daemon on it, and a server: what the kernel says, and what the server says. */
import { type ChildProcess, execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { eventually, post, scaled } from '../http.ts';
import { type Server, withServer } from '../server.ts';
import { type UsageRow, usageRows } from '../usage.ts';
import { Outlet } from './outlet.ts';
import { loadRules, openTwoGuests, RX, RX_PACKETS, TX, TX_PACKETS } from './polled.ts';
import type { TwoGuests } from './two-guests.ts';

const agentMain = join(import.meta.dirname, '..', '..', '..', 'packages', 'agent', 'dist', 'main.js');

/** What tenants send to the public through a service of the host's, and each tunnel’s packets inside and outside: the VNI is 96 bits in. */
const RULES = `table bridge taps {
  counter vni42_out { }
  counter vni42_in { }
  counter vni43_out { }
  counter vni43_in { }
  chain forward {
    type filter hook forward priority 0;
    iifname "tap0" oifname "vx0" counter name "vni42_out"
    iifname "vx0" oifname "tap0" counter name "vni42_in"
    iifname "tap1" oifname "vx1" counter name "vni43_out"
    iifname "vx1" oifname "tap1" counter name "vni43_in"
  }
}
table inet tollgate {
  counter t.acme.edge.public.out { }
  counter t.globex.edge.public.out {
    comment "tag=vlan:42"
  }
  counter vni42_out { }
  counter vni42_in { }
  counter vni43_out { }
  counter vni43_in { }
  chain output {
    type filter hook output priority 0;
    udp dport 9100 counter name "t.acme.edge.public.out"
    udp dport 9101 counter name "t.globex.edge.public.out"
    udp dport 4789 @th,96,24 42 counter name "vni42_out"
    udp dport 4789 @th,96,24 43 counter name "vni43_out"
  }
  chain input {
    type filter hook input priority 0;
    udp dport 4789 @th,96,24 42 counter name "vni42_in"
    udp dport 4789 @th,96,24 43 counter name "vni43_in"
  }
}`;

const MAPPING = `objects:
  - { match: { poller: linux, name: tap0 }, account: acme, trafficType: guest, tag: "vni:42" }
  - { match: { poller: linux, name: tap1 }, account: globex, trafficType: guest, tag: "vni:43" }
  - { match: { poller: linux }, account: null, trafficType: management }
  - { match: { poller: nft, name: "vni*" }, account: null, trafficType: management }
  - { match: { poller: tunnel }, account: operator }
  - { match: { tag: "vni:42", poller: nft }, account: nobody-of-this-name }
`;

const settingsOf = (url: string): string => `server: { url: "${url}", keyFile: agent.key }
source: host/left
mapping: mapping.yaml
state: { folder: state }
status: { interval: 1s }
poll: { interval: 1s }
pollers:
  - { kind: linux }
  - { kind: nft, wirePackets: true }
tunnels:
  - { name: vx42, poller: nft, payload: bridge/taps/vni42_*, underlay: inet/tollgate/vni42_* }
  - { name: vx43, poller: nft, payload: bridge/taps/vni43_*, underlay: inet/tollgate/vni43_* }
`;

/** The kernel's own figures, by `ip` and `nft list`: other paths than the agent's. */
export const kernel = ({ wire }: TwoGuests): Record<string, bigint> => {
  const figures: Record<string, bigint> = {};
  for (const device of ['tap0', 'tap1', 'vx0']) {
    const text = wire.in(wire.left, 'ip', '-s', '-j', 'link', 'show', 'dev', device);
    for (const [direction, bytes, packets] of [
      ['rx', RX, RX_PACKETS],
      ['tx', TX, TX_PACKETS],
    ] as const)
      for (const [unit, meter] of [
        ['bytes', bytes],
        ['packets', packets],
      ] as const)
        figures[`${device} ${meter}`] = BigInt(
          new RegExp(`"${direction}":\\{[^}]*"${unit}":(\\d+)`).exec(text)?.[1] ?? '-1',
        );
  }
  const listed = wire.in(wire.left, 'nft', 'list', 'counters');
  for (const [, name = '', packets = '', bytes = ''] of listed.matchAll(
    /counter (\S+) \{\s+(?:comment .*\s+)?packets (\d+) bytes (\d+)/g,
  )) {
    figures[`${name} ${TX}`] = BigInt(bytes);
    figures[`${name} ${TX_PACKETS}`] = BigInt(packets);
  }
  return figures;
};

export interface Stage {
  host: TwoGuests;
  server: Server;
  /** Settings and state of the agent. */
  dir: string;
  from: number;
  /** The agent: kill -9, and a new one over what the old one left. */
  kill(): Promise<void>;
  start(): void;
  /** As it is shown, and as it was written. */
  status(): Promise<{ out: string; json: Status | null }>;
}
interface Status {
  pollers: { passes: number }[];
  tunnels: { method: string; overheadBytes: string; residualBytes: string }[];
}

export const onHost = async (t: TestContext, letter: string, play: (stage: Stage) => Promise<void>): Promise<void> => {
  const host = openTwoGuests(t, letter);
  const { wire } = host;
  loadRules(wire, wire.left, RULES);
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-host-'));
  await withServer(
    async (server) => {
      const outlet = new Outlet(wire, dir, server.url);
      for (const id of ['acme', 'globex', 'operator']) await post(server, '/api/v1/accounts', { id });
      const key = await post<{ secret: string }>(server, '/api/v1/keys', {
        account: null,
        scopes: ['ingest'],
        sources: ['host/left'],
      });
      writeFileSync(join(dir, 'agent.key'), key.secret, { mode: 0o600 });
      writeFileSync(join(dir, 'mapping.yaml'), MAPPING);
      const config = join(dir, 'agent.yaml');
      writeFileSync(config, settingsOf(outlet.url));
      let agent: ChildProcess | undefined;
      let said = '';
      const start = (): void => {
        agent = wire.spawn(wire.left, [process.execPath, agentMain, '--config', config]);
        agent.stderr?.on('data', (part: Buffer) => {
          said += part.toString();
        });
      };
      const status = async (): Promise<{ out: string; json: Status | null }> => {
        const { stdout } = await promisify(execFile)(process.execPath, [agentMain, 'status', '--config', config]);
        return { out: stdout, json: statusIn(dir) };
      };
      try {
        await play({
          host,
          server,
          dir,
          from: Date.now() - 60_000,
          start,
          async kill() {
            const gone = agent && once(agent, 'exit');
            agent?.kill('SIGKILL');
            await gone;
          },
          status,
        });
      } catch (error) {
        if (error instanceof Error)
          error.message += `\n--- the agent wrote:\n${said}\n${JSON.stringify(statusIn(dir))}`;
        throw error;
      } finally {
        agent?.kill('SIGKILL');
        outlet.close();
        rmSync(dir, { recursive: true, force: true });
      }
    },
    { env: { TOLLGATE_JOB_SECONDS: '1' } },
  );
};

const statusIn = (dir: string): Status | null => {
  try {
    return JSON.parse(readFileSync(join(dir, 'state', 'status.json'), 'utf8')) as Status;
  } catch {
    return null;
  }
};

/** Everything has been read once: from here on all that flows counts. */
export const settled = ({ dir }: Stage): Promise<unknown> =>
  eventually(
    async () => statusIn(dir),
    (status) => status?.pollers.every(({ passes }) => passes >= 2) === true,
  );

/** `account trafficType resource meter` -> quantity, of what is not zero. */
export const billed = async ({ server, from }: Stage, accounts: readonly string[]): Promise<Record<string, bigint>> => {
  const rows = await usageRows(server, {
    meter: RX,
    from,
    to: Date.now() + 60_000,
    more: [
      ...[TX, RX_PACKETS, TX_PACKETS].map((meter) => ['meter', meter]),
      ...accounts.map((account) => ['account', account]),
      ...['account', 'trafficType', 'resource'].map((by) => ['groupBy', by]),
    ],
  });
  const found: Record<string, bigint> = {};
  for (const { meter, group, quantity } of rows) {
    const value = scaled(quantity ?? '0') / 10n ** 12n;
    if (value !== 0n) found[`${group.account} ${group.trafficType} ${group.resource} ${meter}`] = value;
  }
  return found;
};

/** What is recorded of the tunnels, by everything it can be told apart by. */
export const overheads = ({ server, from }: Stage): Promise<UsageRow[]> =>
  usageRows(server, {
    meter: 'network.encapsulation.bytes',
    from,
    to: Date.now() + 60_000,
    more: ['account', 'resource', 'tunnel', 'method', 'wire'].map((by) => ['groupBy', by]),
  });
