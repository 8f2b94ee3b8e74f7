/**
 * The first layout. Why it is as it is: README.md.
 * `vers` falls with the receipt, so that of rows with one key FINAL keeps the one accepted first.
 */
const PARTITION_SETTINGS = 'fsync_after_insert = 1, fsync_part_directory = 1';

/**
 * Ten parts a merge instead of five: each level of merges costs an event about as much as its insert, and under load merges
 * took two thirds of a core.
 */
const WIDE_MERGES = 'merge_selector_base = 10, min_parts_to_merge_at_once = 10';

export const tables: readonly string[] = [
  `CREATE TABLE event (
    tenant LowCardinality(String),
    source LowCardinality(String),
    type LowCardinality(String),
    id String,
    subject String,
    data String CODEC(ZSTD(1)),
    t UInt64 CODEC(Delta, LZ4),
    skew Int64,
    lag Int64,
    receipt UInt64 CODEC(Delta, LZ4),
    stamps UInt8,
    batch LowCardinality(String),
    id_hi UInt32,
    id_lo UInt32,
    content_hi UInt32,
    content_lo UInt32,
    bucket DateTime('UTC') MATERIALIZED toDateTime(intDiv(t, 900000) * 900, 'UTC') CODEC(Delta, LZ4),
    vers UInt64 MATERIALIZED 9007199254740991 - receipt CODEC(Delta, LZ4),
    INDEX receipt_range receipt TYPE minmax GRANULARITY 1
  ) ENGINE = ReplacingMergeTree(vers)
  PARTITION BY toYYYYMM(bucket)
  PRIMARY KEY (bucket, type, id_hi)
  ORDER BY (bucket, type, id_hi, id_lo, t, tenant, source, id)
  SETTINGS ${WIDE_MERGES}, ${PARTITION_SETTINGS}`,

  `CREATE TABLE reading (
    series UInt32 CODEC(Delta, ZSTD(1)),
    t UInt64 CODEC(DoubleDelta, ZSTD(1)),
    value UInt64 CODEC(Delta, ZSTD(1)),
    epoch UInt64 CODEC(Delta, ZSTD(1)),
    start UInt64 CODEC(Delta, ZSTD(1)),
    receipt UInt64 CODEC(Delta, ZSTD(1)),
    skew Int64 CODEC(ZSTD(1)),
    stamps UInt8 CODEC(ZSTD(1)),
    ended UInt8 MATERIALIZED bitAnd(stamps, 16) != 0 CODEC(ZSTD(1)),
    bucket DateTime('UTC') MATERIALIZED toDateTime(intDiv(t, 900000) * 900, 'UTC') CODEC(Delta, ZSTD(1)),
    vers UInt64 MATERIALIZED 9007199254740991 - receipt CODEC(Delta, ZSTD(1)),
    INDEX receipt_range receipt TYPE minmax GRANULARITY 1,
    PROJECTION extent (
      SELECT series, epoch, toDate(bucket), min(bucket), max(bucket) GROUP BY series, epoch, toDate(bucket)
    )
  ) ENGINE = ReplacingMergeTree(vers)
  PARTITION BY toYYYYMM(bucket)
  PRIMARY KEY (bucket, series)
  ORDER BY (bucket, series, t, epoch, value, ended)
  SETTINGS index_granularity = 1024, min_compress_block_size = 8192, deduplicate_merge_projection_mode = 'rebuild',
    ${PARTITION_SETTINGS}`,

  `CREATE TABLE record (
    series UInt32 CODEC(Delta, ZSTD(1)),
    w DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    part UInt32 CODEC(ZSTD(1)),
    seen UInt32 CODEC(ZSTD(1)),
    used UInt64 CODEC(ZSTD(1)),
    n UInt32 CODEC(ZSTD(1)),
    flags UInt16 CODEC(ZSTD(1)),
    state UInt8 CODEC(ZSTD(1)),
    void UInt8 CODEC(ZSTD(1)),
    s UInt64 CODEC(ZSTD(1))
  ) ENGINE = ReplacingMergeTree(s)
  PARTITION BY toYYYYMM(w)
  ORDER BY (series, w, part)
  SETTINGS index_granularity = 1024, ${PARTITION_SETTINGS}`,

  `CREATE TABLE tally (
    series UInt32 CODEC(Delta, ZSTD(1)),
    w DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    part UInt32 CODEC(ZSTD(1)),
    total Decimal(76, 12) CODEC(ZSTD(1)),
    amount Int128 CODEC(ZSTD(1)),
    least Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    most Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    latest Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    latest_at UInt64 CODEC(ZSTD(1)),
    flags UInt16 CODEC(ZSTD(1)),
    state UInt8 CODEC(ZSTD(1)),
    void UInt8 CODEC(ZSTD(1)),
    s UInt64 CODEC(ZSTD(1))
  ) ENGINE = ReplacingMergeTree(s)
  PARTITION BY toYYYYMM(w)
  ORDER BY (series, w, part)
  SETTINGS index_granularity = 1024, ${PARTITION_SETTINGS}`,

  `CREATE TABLE declaration (
    tenant String CODEC(ZSTD(1)),
    source String CODEC(ZSTD(1)),
    run String CODEC(ZSTD(1)),
    first_sequence UInt64 CODEC(Delta, ZSTD(1)),
    last_sequence UInt64 CODEC(Delta, ZSTD(1)),
    complete_through UInt64 CODEC(Delta, ZSTD(1)),
    sent_at UInt64 CODEC(Delta, ZSTD(1)),
    received_at UInt64 CODEC(Delta, ZSTD(1)),
    receipt UInt64 CODEC(Delta, ZSTD(1)),
    INDEX receipt_range receipt TYPE minmax GRANULARITY 1
  ) ENGINE = MergeTree
  ORDER BY (tenant, source, run, receipt)
  SETTINGS ${PARTITION_SETTINGS}`,
];
