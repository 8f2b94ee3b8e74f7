/**
 * A Parquet file of texts: enough for usage rows, which are texts anyway (an exact decimal is one), and readable by every
 * engine. One row group, optional UTF-8 columns, plain encoding, no compression. Format: parquet-format, Thrift compact.
 *
 * Written here because the embedded engine's writer works on its own tables only, and rows of a query are made in memory.
 */

const MAGIC = Buffer.from('PAR1');
const BYTE_ARRAY = 6;
const OPTIONAL = 1;
const UTF8 = 0;
const PLAIN = 0;
const RLE = 3;
/** Types of the compact protocol. */
const T = { i32: 5, i64: 6, binary: 8, list: 9, struct: 12 } as const;

const varint = (n: number): number[] => {
  const bytes: number[] = [];
  let rest = n;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
};
const zigzag = (n: number): number[] => varint(n * 2);

type Field = { id: number; type: number; bytes: Buffer };
const i32 = (id: number, n: number): Field => ({ id, type: T.i32, bytes: Buffer.from(zigzag(n)) });
const i64 = (id: number, n: number): Field => ({ id, type: T.i64, bytes: Buffer.from(zigzag(n)) });
const textBytes = (text: string): Buffer => {
  const utf8 = Buffer.from(text, 'utf8');
  return Buffer.concat([Buffer.from(varint(utf8.length)), utf8]);
};
const text = (id: number, value: string): Field => ({ id, type: T.binary, bytes: textBytes(value) });
const list = (id: number, type: number, items: readonly Buffer[]): Field => ({
  id,
  type: T.list,
  bytes: Buffer.concat([
    Buffer.from(items.length < 15 ? [(items.length << 4) | type] : [0xf0 | type, ...varint(items.length)]),
    ...items,
  ]),
});
const struct = (fields: readonly Field[]): Buffer => {
  let last = 0;
  const parts: Buffer[] = [];
  for (const { id, type, bytes } of fields) {
    parts.push(Buffer.from([((id - last) << 4) | type]), bytes);
    last = id;
  }
  return Buffer.concat([...parts, Buffer.from([0])]);
};
const inner = (id: number, fields: readonly Field[]): Field => ({ id, type: T.struct, bytes: struct(fields) });

/** Definition levels (1: there, 0: null) as one bit-packed run: its byte length, then the run. */
const levels = (cells: readonly (string | null)[]): Buffer => {
  const groups = Math.ceil(cells.length / 8);
  const bits = Buffer.alloc(groups);
  for (const [i, cell] of cells.entries()) if (cell !== null) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7));
  const run = Buffer.concat([Buffer.from(varint(groups * 2 + 1)), bits]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(run.length);
  return Buffer.concat([length, run]);
};

const plainValues = (cells: readonly (string | null)[]): Buffer => {
  const parts: Buffer[] = [];
  for (const cell of cells) {
    if (cell === null) continue;
    const utf8 = Buffer.from(cell, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32LE(utf8.length);
    parts.push(length, utf8);
  }
  return Buffer.concat(parts);
};

const pageOf = (cells: readonly (string | null)[]): Buffer => {
  const data = Buffer.concat([levels(cells), plainValues(cells)]);
  const header = struct([
    i32(1, 0),
    i32(2, data.length),
    i32(3, data.length),
    inner(5, [i32(1, cells.length), i32(2, PLAIN), i32(3, RLE), i32(4, RLE)]),
  ]);
  return Buffer.concat([header, data]);
};

const schemaOf = (columns: readonly string[]): Buffer[] => [
  struct([text(4, 'usage'), i32(5, columns.length)]),
  ...columns.map((name) => struct([i32(1, BYTE_ARRAY), i32(3, OPTIONAL), text(4, name), i32(6, UTF8)])),
];

/** The whole file. `null` cells are nulls. */
export const parquetFile = (columns: readonly string[], rows: readonly (readonly (string | null)[])[]): Buffer => {
  const parts: Buffer[] = [MAGIC];
  const chunks: Buffer[] = [];
  let offset = MAGIC.length;
  let total = 0;
  if (rows.length > 0)
    for (const [i, name] of columns.entries()) {
      const page = pageOf(rows.map((row) => row[i] ?? null));
      const meta = [
        i32(1, BYTE_ARRAY),
        list(2, T.i32, [Buffer.from(zigzag(PLAIN)), Buffer.from(zigzag(RLE))]),
        list(3, T.binary, [textBytes(name)]),
        i32(4, 0),
        i64(5, rows.length),
        i64(6, page.length),
        i64(7, page.length),
        i64(9, offset),
      ];
      chunks.push(struct([i64(2, offset), inner(3, meta)]));
      parts.push(page);
      offset += page.length;
      total += page.length;
    }
  const groups = rows.length === 0 ? [] : [struct([list(1, T.struct, chunks), i64(2, total), i64(3, rows.length)])];
  const footer = struct([
    i32(1, 1),
    list(2, T.struct, schemaOf(columns)),
    i64(3, rows.length),
    list(4, T.struct, groups),
    text(6, 'tollgate'),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return Buffer.concat([...parts, footer, length, MAGIC]);
};
