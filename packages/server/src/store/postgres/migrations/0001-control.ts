/** The first tables. Instants are ms since 1970 UTC, receipts and epochs exact integers below 2^53: bigint both. */
export const name = '0001-control';

export const sql = `
CREATE TABLE meta (
  name text PRIMARY KEY,
  value text NOT NULL
);

CREATE TABLE receipt_counter (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  next bigint NOT NULL CHECK (next BETWEEN 1 AND 9007199254740992)
);
INSERT INTO receipt_counter (next) VALUES (1);

-- json, not jsonb: the text comes back as it was written, the same bytes next year.
CREATE TABLE fact (
  receipt bigint PRIMARY KEY CHECK (receipt BETWEEN 1 AND 9007199254740991),
  tenant text NOT NULL,
  kind text NOT NULL,
  author text NOT NULL,
  reason text NOT NULL,
  recorded_at bigint NOT NULL,
  body json NOT NULL
);
CREATE INDEX fact_kind ON fact (kind, receipt);
CREATE INDEX fact_tenant ON fact (tenant, receipt);

-- The facts are also the audit log: nobody changes one, not even by hand and by accident.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'facts are never changed or removed: append a fact that corrects them';
END $$;
CREATE TRIGGER fact_is_final BEFORE UPDATE OR DELETE ON fact FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER facts_are_final BEFORE TRUNCATE ON fact FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE series_group (
  grp integer PRIMARY KEY,
  next bigint NOT NULL
);

-- Unique by the digest of the key: names may be longer than a row of an index.
CREATE TABLE series (
  id bigint PRIMARY KEY,
  tenant text NOT NULL,
  key_digest bytea NOT NULL UNIQUE,
  source text NOT NULL,
  resource text NOT NULL,
  meter text NOT NULL,
  dimensions json NOT NULL,
  width smallint NOT NULL,
  line_bits bigint NOT NULL,
  period bigint NOT NULL,
  layer text NOT NULL,
  witness_of bigint NOT NULL,
  first_receipt bigint NOT NULL
);

CREATE TABLE epoch (
  series bigint NOT NULL,
  epoch bigint NOT NULL,
  text text NOT NULL,
  PRIMARY KEY (epoch, series)
);

CREATE TABLE lease (
  grp integer PRIMARY KEY,
  holder text NOT NULL,
  token bigint NOT NULL,
  until bigint NOT NULL
);

CREATE TABLE progress (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream text NOT NULL,
  grp integer NOT NULL,
  from_t bigint NOT NULL,
  closed_to bigint NOT NULL,
  to_t bigint,
  frontier bigint NOT NULL,
  CHECK (from_t <= closed_to AND (to_t IS NULL OR (closed_to <= to_t AND from_t < to_t)))
);
CREATE UNIQUE INDEX progress_live ON progress (stream, grp) WHERE to_t IS NULL;

CREATE TABLE run (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream text NOT NULL,
  grp integer NOT NULL,
  frontier bigint NOT NULL,
  from_t bigint NOT NULL,
  to_t bigint NOT NULL,
  started_at bigint NOT NULL,
  finished_at bigint,
  windows bigint NOT NULL,
  records bigint NOT NULL,
  rewritten bigint NOT NULL,
  odd bigint NOT NULL,
  set_aside bigint NOT NULL,
  outcome text NOT NULL,
  error text NOT NULL
);
CREATE INDEX run_frontier ON run (frontier);

CREATE TABLE set_aside (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  identity_digest bytea NOT NULL UNIQUE,
  identity text NOT NULL,
  tenant text NOT NULL,
  kind text NOT NULL,
  code text NOT NULL,
  reason text NOT NULL,
  series bigint,
  receipt bigint,
  at bigint NOT NULL,
  content text NOT NULL,
  state text NOT NULL,
  recorded_at bigint NOT NULL
);
CREATE INDEX set_aside_state ON set_aside (state, id);
CREATE INDEX set_aside_tenant ON set_aside (tenant, id);
`;
