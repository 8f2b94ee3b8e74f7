/** The series registry and the texts of epochs in PostgreSQL. */
import type { Series } from '../../domain/series.ts';
import * as checks from '../control-checks.ts';
import type { ControlStore, NewSeries } from '../control-store.ts';
import { groupOfDigest, seriesDigest, seriesId, seriesRow } from '../series-ids.ts';
import type { Database, Query } from './database.ts';

type Registry = Pick<ControlStore, 'series' | 'registerSeries' | 'registerEpochs' | 'epochText' | 'epochHolders'>;

/** Keys a statement: bounds the text one statement carries. */
const BATCH = 20_000;
const PAGE = 100_000;

const COLUMNS = `id, tenant, source, resource, meter, dimensions, width, line_bits, period, layer, witness_of, first_receipt`;

interface SeriesRow extends Omit<Series, 'lineBits' | 'witnessOf' | 'firstReceipt'> {
  line_bits: number;
  witness_of: number;
  first_receipt: number;
}

const toSeries = (row: SeriesRow): Series => ({
  id: row.id,
  tenant: row.tenant,
  source: row.source,
  resource: row.resource,
  meter: row.meter,
  dimensions: row.dimensions,
  width: row.width,
  lineBits: row.line_bits,
  period: row.period,
  layer: row.layer,
  witnessOf: row.witness_of,
  firstReceipt: row.first_receipt,
});

/** `groups` as the store was made with. */
export const registry = (db: Database, groups: number): Registry => ({
  series: async () => {
    const all: Series[] = [];
    for (let after = -1; ; ) {
      const page = await db.twice(() =>
        db.query<SeriesRow>(`SELECT ${COLUMNS} FROM series WHERE id > $1 ORDER BY id LIMIT $2`, [after, PAGE]),
      );
      for (const row of page) all.push(toSeries(row));
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return all;
      after = last.id;
    }
  },

  registerSeries: async (keys) => {
    keys.forEach(checks.checkSeries);
    const wanted = keys.map((key) => ({ key, digest: seriesDigest(key) }));
    const known = new Map<string, Series>();
    await db.twice(() => findKnown(db.query, wanted, known));
    if (wanted.some(({ digest }) => !known.has(digest.toString('hex'))))
      await db.twice(() => db.transaction((query) => registerUnknown(query, wanted, known, groups)));
    return wanted.map(({ digest, key }) => known.get(digest.toString('hex')) ?? missing(key));
  },

  registerEpochs: async (epochs) => {
    for (const { series, epoch, text } of epochs) {
      checks.checkWhole('series', series, 0);
      checks.checkWhole('epoch', epoch, 0);
      checks.checkText('epoch text', text);
    }
    if (epochs.length === 0) return;
    await db.twice(() =>
      db.query(
        `INSERT INTO epoch (series, epoch, text) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[])
         ON CONFLICT DO NOTHING`,
        [epochs.map((row) => row.series), epochs.map((row) => row.epoch), epochs.map((row) => row.text)],
      ),
    );
  },

  epochText: async (series, epoch) => {
    const text = 'SELECT text FROM epoch WHERE epoch = $1 AND series = $2';
    const [row] = await db.twice(() => db.query<{ text: string }>(text, [epoch, series]));
    return row?.text ?? null;
  },

  epochHolders: async (epoch) => {
    const text = 'SELECT series FROM epoch WHERE epoch = $1 ORDER BY series';
    const rows = await db.twice(() => db.query<{ series: number }>(text, [epoch]));
    return rows.map((row) => row.series);
  },
});

interface Wanted {
  key: NewSeries;
  digest: Buffer;
}

const missing = (key: NewSeries): never => {
  throw checks.notFound(`series of ${key.resource} that was just registered`);
};

async function findKnown(query: Query, wanted: readonly Wanted[], known: Map<string, Series>): Promise<void> {
  for (let i = 0; i < wanted.length; i += BATCH) {
    const digests = wanted.slice(i, i + BATCH).map(({ digest }) => digest);
    const rows = await query<SeriesRow & { key_digest: Buffer }>(
      `SELECT key_digest, ${COLUMNS} FROM series WHERE key_digest = ANY ($1::bytea[])`,
      [digests],
    );
    for (const row of rows) known.set(row.key_digest.toString('hex'), toSeries(row));
  }
}

/**
 * The locked counters keep everybody else who registers out until we commit, so what is not known now stays unknown.
 * They are locked before looking: each statement then sees what was committed before it.
 */
async function registerUnknown(
  query: Query,
  wanted: readonly Wanted[],
  known: Map<string, Series>,
  groups: number,
): Promise<void> {
  const locked = await query<{ grp: number; next: number }>(
    'SELECT grp, next FROM series_group ORDER BY grp FOR UPDATE',
  );
  const next = new Map(locked.map((row) => [row.grp, row.next]));
  await findKnown(query, wanted, known);
  const fresh = new Map<string, { digest: Buffer; row: Series }>();
  for (const { key, digest } of wanted) {
    const name = digest.toString('hex');
    if (known.has(name) || fresh.has(name)) continue;
    const group = groupOfDigest(digest, groups);
    const count = next.get(group) ?? 0;
    fresh.set(name, { digest, row: seriesRow(seriesId(group, count), key) });
    next.set(group, count + 1);
  }
  const rows = [...fresh.values()];
  for (let i = 0; i < rows.length; i += BATCH) await insertSeries(query, rows.slice(i, i + BATCH));
  await query(
    `UPDATE series_group g SET next = n.next FROM unnest($1::integer[], $2::bigint[]) AS n (grp, next)
     WHERE g.grp = n.grp`,
    [[...next.keys()], [...next.values()]],
  );
  for (const [name, { row }] of fresh) known.set(name, row);
}

async function insertSeries(query: Query, rows: readonly { digest: Buffer; row: Series }[]): Promise<void> {
  const column = <T>(of: (row: Series) => T): T[] => rows.map(({ row }) => of(row));
  await query(
    `INSERT INTO series (key_digest, ${COLUMNS})
     SELECT d, id, tenant, source, resource, meter, dimensions::json, width, line_bits, period, layer, witness, receipt
     FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::smallint[],
       $9::bigint[], $10::bigint[], $11::text[], $12::bigint[], $13::bigint[])
       AS n (d, id, tenant, source, resource, meter, dimensions, width, line_bits, period, layer, witness, receipt)`,
    [
      rows.map(({ digest }) => digest),
      column((s) => s.id),
      column((s) => s.tenant),
      column((s) => s.source),
      column((s) => s.resource),
      column((s) => s.meter),
      column((s) => JSON.stringify(s.dimensions)),
      column((s) => s.width),
      column((s) => s.lineBits),
      column((s) => s.period),
      column((s) => s.layer),
      column((s) => s.witnessOf),
      column((s) => s.firstReceipt),
    ],
  );
}
