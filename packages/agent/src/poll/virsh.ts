/** What virsh prints, as data. One process serves many domains: commands go in as one text, sections come out. */
import { digits } from './exact.ts';

export const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/;

/** Target devices that can stand in a text of virsh commands; others cannot be asked for. */
export const DEVICE = /^[\w.@:+-]{1,64}$/;

export interface Nic {
  target: string;
  /** bridge, network, ethernet, direct, vhostuser ... as domiflist calls it. */
  type: string;
  source: string;
  mac: string;
}

/** Null: the driver does not count this. */
export type NicFigures = Record<'rxBytes' | 'rxPackets' | 'txBytes' | 'txPackets', bigint | null>;

export const uuidsOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => UUID.test(line));

const parts = ['id', 'name', 'nics', 'stats'] as const;
type Part = (typeof parts)[number];
const COMMANDS: Readonly<Record<Part, string>> = {
  id: 'domid',
  name: 'domname',
  nics: 'domiflist',
  stats: 'domstats --interface --raw',
};

/** Asks everything about these domains. A command that fails leaves its section empty and the others as they are. */
export const askAbout = (uuids: readonly string[]): string =>
  uuids.flatMap((uuid) => parts.map((part) => `echo @${part} ${uuid}; ${COMMANDS[part]} ${uuid}`)).join('; ');

export interface DomainText {
  id: string;
  name: string;
  nics: string;
  stats: string;
}

/**
 * The sections of `askAbout`, by domain. They are looked for in the order they were asked, so a domain that calls itself
 * like a heading moves nothing.
 */
export const answersOf = (text: string, uuids: readonly string[]): Map<string, DomainText> => {
  const found = new Map<string, DomainText>();
  const headings = uuids.flatMap((uuid) => parts.map((part) => ({ uuid, part, line: `@${part} ${uuid}` })));
  const lines = text.split('\n');
  let at = lines.indexOf(headings[0]?.line ?? '');
  for (const [i, { uuid, part }] of headings.entries()) {
    if (at < 0) break;
    const next = headings[i + 1]?.line;
    const end = next === undefined ? lines.length : lines.indexOf(next, at + 1);
    const body = lines
      .slice(at + 1, end < 0 ? lines.length : end)
      .join('\n')
      .trim();
    const domain = found.get(uuid) ?? { id: '', name: '', nics: '', stats: '' };
    found.set(uuid, { ...domain, [part]: body });
    at = end;
  }
  return found;
};

/** `domiflist`: null when the text is none, an empty list for a domain without interfaces. */
export const nicsOf = (text: string): Nic[] | null => {
  const lines = text.split('\n');
  const rule = lines.findIndex((line) => /^-{5,}$/.test(line.trim()));
  if (rule < 0) return null;
  return lines.slice(rule + 1).flatMap((line) => {
    const words = line.trim().split(/\s+/);
    const [target, type] = words;
    const mac = words.at(-1)?.toLowerCase();
    if (target === undefined || type === undefined || mac === undefined || words.length < 5) return [];
    return [{ target, type, source: words.slice(2, -2).join(' '), mac }];
  });
};

/** `domstats --interface --raw` of one domain: target -> figures. Empty where the driver offers none. */
export const statsOf = (text: string): Map<string, NicFigures> => {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\s*(net\.\S+?)=(.*)$/.exec(line);
    if (match?.[1] !== undefined) fields.set(match[1], match[2] ?? '');
  }
  const found = new Map<string, NicFigures>();
  for (const [key, target] of fields) {
    const index = /^net\.(\d+)\.name$/.exec(key)?.[1];
    if (index === undefined) continue;
    const figure = (name: string): bigint | null => known(fields.get(`net.${index}.${name}`));
    found.set(target, {
      rxBytes: figure('rx.bytes'),
      rxPackets: figure('rx.pkts'),
      txBytes: figure('tx.bytes'),
      txPackets: figure('tx.pkts'),
    });
  }
  return found;
};

/** `domifstat` of one interface: lines `<target> rx_bytes 123`. */
export const ifstatOf = (text: string): NicFigures => {
  const fields = new Map(
    text.split('\n').map((line): [string, string] => {
      const words = line.trim().split(/\s+/);
      return [words.at(-2) ?? '', words.at(-1) ?? ''];
    }),
  );
  return {
    rxBytes: known(fields.get('rx_bytes')),
    rxPackets: known(fields.get('rx_packets')),
    txBytes: known(fields.get('tx_bytes')),
    txPackets: known(fields.get('tx_packets')),
  };
};

/** libvirt says -1 for what a driver does not count, and a careless printer makes 2^64-1 of it. */
const known = (text: string | undefined): bigint | null => {
  const value = text === undefined ? null : digits(text.trim());
  return value === 2n ** 64n - 1n ? null : value;
};
