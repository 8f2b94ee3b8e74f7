/** Where a poller looks: this boot of this machine, in one network namespace. */
import type { Disk } from '../environment.ts';
import type { CommandBounds, Commands } from './commands.ts';

export interface PlaceSettings {
  /** Name of a network namespace (`ip netns`); left away: the one the agent runs in. */
  namespace?: string;
  timeoutMs?: number;
  maxBytes?: number;
}

const DEFAULT_BOUNDS = { timeoutMs: 10_000, maxBytes: 64 * 1024 * 1024 };

/** A name `ip netns` takes, and that cannot lead out of its folder or be read as an option. */
const NAMESPACE = /^[A-Za-z0-9_][\w.@:+-]{0,254}$/;

export class Place {
  readonly #disk: Disk;
  readonly #commands: Commands;
  readonly #namespace: string;
  readonly #bounds: CommandBounds;

  /** Throws when the namespace's name is none. */
  constructor(disk: Disk, commands: Commands, settings: PlaceSettings = {}) {
    this.#disk = disk;
    this.#commands = commands;
    this.#namespace = settings.namespace ?? '';
    if (this.#namespace !== '' && !NAMESPACE.test(this.#namespace))
      throw new Error(`"${this.#namespace}" is no name of a network namespace`);
    this.#bounds = {
      timeoutMs: settings.timeoutMs ?? DEFAULT_BOUNDS.timeoutMs,
      maxBytes: settings.maxBytes ?? DEFAULT_BOUNDS.maxBytes,
    };
  }

  /** Runs a program there. */
  run(file: string, args: readonly string[], signal?: AbortSignal): Promise<string> {
    const bounds = signal ? { ...this.#bounds, signal } : this.#bounds;
    if (this.#namespace === '') return this.#commands.run(file, args, bounds);
    return this.#commands.run('ip', ['netns', 'exec', this.#namespace, file, ...args], bounds);
  }

  /** Boot id and inode of the namespace: read at every pass, because a namespace may be made anew under its name. */
  epoch(): string {
    return `${this.boot()}/${this.#disk.inode(this.#file())}`;
  }

  boot(): string {
    return this.#disk.read('/proc/sys/kernel/random/boot_id').trim();
  }

  /** Wall clock at boot, to the second below; 0 when the system does not tell. */
  bootedAt(now: number): number {
    try {
      const uptime = Number(this.#disk.read('/proc/uptime').split(' ')[0]);
      return Number.isFinite(uptime) ? Math.floor(now / 1000 - uptime) * 1000 : 0;
    } catch {
      return 0;
    }
  }

  #file(): string {
    return this.#namespace === '' ? '/proc/self/ns/net' : `/run/netns/${this.#namespace}`;
  }
}
