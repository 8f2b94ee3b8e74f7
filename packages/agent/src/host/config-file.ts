/** `tollgate-agent.yaml`: sections to texts with their places, and the lists of pollers and tunnels. Values are judged in config.ts. */

import { readPollers } from './config-pollers.ts';
import { readTunnels } from './config-tunnels.ts';
import { type SettingName, settingNames, settingOf } from './settings.ts';
import { onlyLinux, type PollerConfig } from './settings-pollers.ts';
import { type Flaw, flawLine, type Leaf, readTree, type Spot, type Tree, unknownName } from './settings-tree.ts';
import type { TunnelConfig } from './settings-tunnels.ts';
import { boundsOf } from './settings-values.ts';

export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

export interface FileSettings {
  path: string;
  values: ReadonlyMap<SettingName, Leaf>;
  /** Interval and timeout 0: not given. */
  pollers: readonly PollerConfig[];
  tunnels: readonly TunnelConfig[];
  problems: readonly string[];
}

export const fileSettings = (path: string, content: string): FileSettings => {
  const reader = new Reader();
  const { tree, flaws } = readTree(content);
  const pollers = tree === null ? onlyLinux : reader.file(tree);
  const problems = [...flaws, ...reader.flaws].map((flaw) => flawLine(path, flaw));
  return { path, values: reader.values, pollers, tunnels: reader.tunnels, problems };
};

const sections = [...new Set(settingNames.map((name) => name.split('.')[0] ?? ''))];

class Reader {
  readonly values = new Map<SettingName, Leaf>();
  readonly flaws: Flaw[] = [];
  tunnels: readonly TunnelConfig[] = [];

  file(tree: Tree): readonly PollerConfig[] {
    if (tree.kind === 'leaf' && tree.empty) return onlyLinux;
    if (tree.kind !== 'branch') {
      this.#flaw(tree.at, 'wants sections such as "server:" with "name: value" lines');
      return onlyLinux;
    }
    let pollers = onlyLinux;
    for (const { name, at, value } of tree.entries) {
      if (name === 'pollers') pollers = readPollers(value, this.flaws);
      else if (name === 'tunnels') this.tunnels = readTunnels(value, this.flaws);
      else if (settingNames.includes(name as SettingName)) this.#value(name as SettingName, value);
      else if (sections.includes(name)) this.#section(name, value);
      else this.#flaw(at, unknownName('setting', name, [...sections, 'pollers', 'tunnels']));
    }
    return pollers;
  }

  #section(section: string, tree: Tree): void {
    if (tree.kind === 'leaf' && tree.empty) return;
    if (tree.kind === 'branch')
      for (const { name, at, value } of tree.entries) this.#named(`${section}.${name}`, section, at, value);
    else this.#flaw(tree.at, `${section} wants "name: value" lines below it`);
  }

  #named(name: string, section: string, at: Spot, value: Tree): void {
    const known = settingNames.filter((n) => n.startsWith(`${section}.`));
    const setting = known.find((n) => n === name);
    if (setting === undefined) this.#flaw(at, unknownName('setting', name, known));
    else this.#value(setting, value);
  }

  #value(name: SettingName, tree: Tree): void {
    const setting = settingOf(name);
    if (setting.secret)
      this.#flaw(tree.at, `${name} is not read from here: put the key into a file of its own, named by server.keyFile`);
    else if (tree.kind !== 'leaf' || tree.empty) this.#flaw(tree.at, `${name} is refused, wants ${boundsOf(setting)}`);
    else this.values.set(name, tree);
  }

  #flaw({ line, column }: Spot, message: string): void {
    this.flaws.push({ line, column, message });
  }
}
