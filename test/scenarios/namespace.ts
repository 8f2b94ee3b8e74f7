/**
 * Two network namespaces joined by a veth pair that carries nothing but what a test sends: no IPv6, fixed neighbours, so
 * neither router solicitations nor ARP. What the kernel counts is then what the sender handed over.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';

const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', timeout: 20_000 });

export const LEFT_ADDRESS = '10.77.0.1';
export const RIGHT_ADDRESS = '10.77.0.2';
const MAC = { left: '02:00:00:00:77:01', right: '02:00:00:00:77:02' } as const;

export interface Counters {
  ifindex: number;
  receivedBytes: bigint;
  receivedPackets: bigint;
  sentBytes: bigint;
  sentPackets: bigint;
}

export class Wire {
  readonly left: string;
  readonly right: string;
  readonly nic = 'tg0';

  constructor(tag: string) {
    this.left = `tgl-${tag}`;
    this.right = `tgr-${tag}`;
    for (const name of [this.left, this.right]) {
      run('ip', 'netns', 'add', name);
      this.in(
        name,
        'sh',
        '-c',
        'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6',
      );
      this.in(name, 'ip', 'link', 'set', 'lo', 'up');
    }
    this.plug();
  }

  /** Runs a command in a namespace and returns what it printed. */
  in(namespace: string, ...command: string[]): string {
    return run('ip', 'netns', 'exec', namespace, ...command);
  }

  /** Starts a long running command in a namespace. `ip netns exec` replaces itself, so the process id is the command's. */
  spawn(namespace: string, command: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    return spawn('ip', ['netns', 'exec', namespace, ...command], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }

  /** Makes the pair. With `ifindex` the left end gets that index again: only its counters tell it from the old one. */
  plug(ifindex?: number): void {
    const index = ifindex === undefined ? [] : ['index', String(ifindex)];
    this.in(
      this.left,
      'ip',
      'link',
      'add',
      this.nic,
      ...index,
      'address',
      MAC.left,
      'type',
      'veth',
      'peer',
      'name',
      this.nic,
      'address',
      MAC.right,
      'netns',
      this.right,
    );
    this.#up(this.left, LEFT_ADDRESS, RIGHT_ADDRESS, MAC.right);
    this.#up(this.right, RIGHT_ADDRESS, LEFT_ADDRESS, MAC.left);
  }

  unplug(): void {
    this.in(this.left, 'ip', 'link', 'del', this.nic);
  }

  #up(namespace: string, own: string, other: string, mac: string): void {
    this.in(namespace, 'ip', 'address', 'add', `${own}/24`, 'dev', this.nic);
    this.in(namespace, 'ip', 'neigh', 'replace', other, 'lladdr', mac, 'dev', this.nic, 'nud', 'permanent');
    this.in(namespace, 'ip', 'link', 'set', this.nic, 'up');
  }

  /** The kernel's own figures of the left end, from `ip`: another path than the agent's /proc/net/dev. */
  counters(): Counters {
    const text = this.in(this.left, 'ip', '-s', '-j', 'link', 'show', 'dev', this.nic);
    // Figures are read from the text: JSON.parse would round what is above 2^53.
    const figure = (direction: 'rx' | 'tx', name: 'bytes' | 'packets'): bigint =>
      BigInt(new RegExp(`"${direction}":\\{[^}]*"${name}":(\\d+)`).exec(text)?.[1] ?? '-1');
    return {
      ifindex: Number(/"ifindex":(\d+)/.exec(text)?.[1]),
      receivedBytes: figure('rx', 'bytes'),
      receivedPackets: figure('rx', 'packets'),
      sentBytes: figure('tx', 'bytes'),
      sentPackets: figure('tx', 'packets'),
    };
  }

  close(): void {
    for (const name of [this.left, this.right]) {
      try {
        run('ip', 'netns', 'del', name);
      } catch {
        // Half made: nothing to take away.
      }
    }
  }
}

/** Ethernet 14, IPv4 20, UDP 8: what the device counts for a datagram that fits its MTU. */
export const bytesOfDatagrams = (count: number, payload: number): bigint => BigInt(count) * BigInt(payload + 42);
