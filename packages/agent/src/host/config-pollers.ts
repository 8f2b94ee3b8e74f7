/** The list of pollers in the settings file. */
import { TableReader } from './config-table.ts';
import { commonOptions, kindNames, optionsOf, type PollerConfig, type PollerKind } from './settings-pollers.ts';
import { type Branch, type Flaw, type Tree, unknownName } from './settings-tree.ts';

/** What is wrong goes to `flaws`. */
export const readPollers = (tree: Tree, flaws: Flaw[]): PollerConfig[] => new Reader(flaws).list(tree);

class Reader {
  readonly #read: TableReader;

  constructor(flaws: Flaw[]) {
    this.#read = new TableReader(flaws);
  }

  list(tree: Tree): PollerConfig[] {
    if (tree.kind !== 'list') {
      this.#read.flaw(tree.at, 'pollers wants a list ("- kind: linux")');
      return [];
    }
    if (tree.items.length === 0) this.#read.flaw(tree.at, 'pollers wants at least one poller');
    const seen = new Map<string, number>();
    return tree.items.flatMap((item) => {
      const poller = this.#poller(item);
      if (poller === null) return [];
      const line = seen.get(poller.name);
      if (line === undefined) seen.set(poller.name, item.at.line);
      else
        this.#read.flaw(
          item.at,
          `there is a poller "${poller.name}" in line ${line} already; give this one a name of its own`,
        );
      return [poller];
    });
  }

  #poller(item: Tree): PollerConfig | null {
    if (item.kind !== 'branch') return this.#read.none(item.at, 'a poller wants "kind: ..."');
    const kind = this.#kind(item);
    if (kind === null) return null;
    const known = { ...commonOptions, ...optionsOf(kind) };
    const entries = item.entries.filter(({ name }) => name !== 'kind');
    const { name, interval, timeout, ...options } = this.#read.table(entries, known, `${kind}.`, item.at);
    if (name !== '' && !/^[A-Za-z0-9][\w.-]*$/.test(String(name)))
      this.#read.flaw(
        item.at,
        `${kind}.name: ${JSON.stringify(name)} is refused, wants letters, digits, ".", "_" and "-"`,
      );
    return { kind, name: String(name) || kind, intervalMs: Number(interval), timeoutMs: Number(timeout), options };
  }

  #kind(item: Branch): PollerKind | null {
    const entry = item.entries.find((e) => e.name === 'kind');
    if (entry?.value.kind !== 'leaf' || entry.value.empty)
      return this.#read.none(entry?.value.at ?? item.at, `a poller wants a kind: ${kindNames.join(', ')}`);
    const { text, at } = entry.value;
    return kindNames.find((k) => k === text) ?? this.#read.none(at, unknownName('kind of poller', text, kindNames));
  }
}
