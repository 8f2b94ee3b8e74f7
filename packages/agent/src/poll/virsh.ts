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

/** The last heading: what stands before it is whole. */
const END = '@end';

/** Commands in a row, as one text. One that fails prints nothing, but virsh ends as its last one did: so that one is an echo. */
export const inRow = (commands: readonly string[]): string => [...commands, `echo ${END}`].join('; ');

/** Asks everything about these domains. A command that fails leaves its section empty and the others as they are. */
export const askAbout = (uuids: readonly string[]): string =>
  inRow(uuids.flatMap((uuid) => parts.flatMap((part) => [`echo @${part} ${uuid}`, `${COMMANDS[part]} ${uuid}`])));

/**
 * What stands under each of these headings, in the order they were asked, up to where the text was cut off. A heading
 * is looked for after the one before, so what calls itself like one moves nothing.
 */
export const sectionsOf = (text: string, headings: readonly string[]): string[] => {
  const lines = text.split('\n');
  const found: string[] = [];
  let at = lines.indexOf(headings[0] ?? END);
  for (const heading of [...headings.slice(1), END]) {
    const end = at < 0 ? -1 : lines.indexOf(heading, at + 1);
    if (end < 0) break;
    found.push(
      lines
        .slice(at + 1, end)
        .join('\n')
        .trim(),
    );
    at = end;
  }
  return found;
};

export interface DomainText {
  id: string;
  name: string;
  nics: string;
  stats: string;
}

/** The answers to `askAbout`, by domain: those that are whole. */
export const answersOf = (text: string, uuids: readonly string[]): Map<string, DomainText> => {
  const sections = sectionsOf(
    text,
    uuids.flatMap((uuid) => parts.map((part) => `@${part} ${uuid}`)),
  );
  const found = new Map<string, DomainText>();
  for (const [i, uuid] of uuids.entries()) {
    const [id, name, nics, stats] = sections.slice(i * parts.length, (i + 1) * parts.length);
    if (id !== undefined && name !== undefined && nics !== undefined && stats !== undefined)
      found.set(uuid, { id, name, nics, stats });
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
