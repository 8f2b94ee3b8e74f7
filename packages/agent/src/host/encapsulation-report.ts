/** The reconciliation of a host: a table for people, texts for JSON. */
import type { Reconciliation } from './encapsulation.ts';

type Shown = Reconciliation<bigint | string>;

const columns: readonly { title: string; of: (r: Shown) => string; right: boolean }[] = [
  { title: 'tunnel', of: (r) => r.tunnel, right: false },
  { title: 'method', of: (r) => r.method, right: false },
  { title: 'payload', of: (r) => `${r.payloadBytes} ${r.payloadLayer}`, right: true },
  {
    title: 'underlay',
    of: (r) => (r.underlayBytes === null ? '-' : `${r.underlayBytes} ${r.underlayLayer}`),
    right: true,
  },
  { title: 'overhead', of: (r) => shown(r.overheadBytes), right: true },
  { title: 'wire', of: (r) => (r.method === 'none' ? '-' : r.onWire ? 'yes' : 'no'), right: false },
  { title: 'modelled', of: (r) => shown(r.modelledBytes), right: true },
  { title: 'residual', of: (r) => shown(r.residualBytes), right: true },
  { title: 'packets', of: (r) => shown(r.packets), right: true },
];

const shown = (value: bigint | string | null): string => (value === null ? '-' : `${value}`);

/** Bytes, one line a tunnel, and below it why a figure is missing. */
export const reportTable = (host: string, reconciliations: readonly Shown[]): string => {
  const rows = reconciliations.map((r) => columns.map(({ of }) => of(r)));
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (columns[i]?.right ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  const body = reconciliations.flatMap((r, i) => [line(rows[i] ?? []), ...r.refusals.map((why) => `  ${why}`)]);
  return [`encapsulation on ${host}, bytes`, line(columns.map(({ title }) => title)), ...body, ''].join('\n');
};

/** Numbers as texts of digits: they may be larger than a JSON number holds. */
export const asTexts = (r: Reconciliation): Reconciliation<string> => ({
  ...r,
  payloadBytes: `${r.payloadBytes}`,
  underlayBytes: text(r.underlayBytes),
  overheadBytes: text(r.overheadBytes),
  modelledBytes: text(r.modelledBytes),
  residualBytes: text(r.residualBytes),
  packets: text(r.packets),
});

const text = (value: bigint | null): string | null => (value === null ? null : `${value}`);
