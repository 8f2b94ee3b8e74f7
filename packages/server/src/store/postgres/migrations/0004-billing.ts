/** The books: final documents, ledger, credits, payments, invoice runs. Amounts are whole minor units, exact. */
export const name = '0004-billing';

export const sql = `
CREATE FUNCTION refuse_final_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what is in % is final: correct it with a document or a transaction of its own', TG_TABLE_NAME;
END $$;

-- A row to lock: who changes an account's books holds it.
CREATE TABLE billing_account (
  tenant text PRIMARY KEY
);

-- A row, not a sequence: what is rolled back gives its number back.
CREATE TABLE invoice_number (
  entity text NOT NULL,
  kind text NOT NULL,
  next bigint NOT NULL CHECK (next > 0),
  PRIMARY KEY (entity, kind)
);

CREATE TABLE invoice (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text NOT NULL,
  entity text NOT NULL,
  kind text NOT NULL,
  from_t bigint NOT NULL,
  to_t bigint NOT NULL CHECK (from_t <= to_t),
  version integer NOT NULL,
  prefix text NOT NULL,
  sequence bigint NOT NULL,
  number text NOT NULL,
  currency text NOT NULL,
  net numeric(38,0) NOT NULL,
  tax numeric(38,0) NOT NULL,
  total numeric(38,0) NOT NULL CHECK (total = net + tax),
  issued_at bigint NOT NULL,
  due_at bigint NOT NULL,
  frontier bigint NOT NULL,
  document text NOT NULL,
  digest text NOT NULL,
  voids bigint UNIQUE REFERENCES invoice (id),
  UNIQUE (tenant, from_t, to_t, kind, version),
  UNIQUE (entity, kind, sequence)
);
-- Whatever entities say of their prefixes.
CREATE UNIQUE INDEX invoice_number_text ON invoice (number);
CREATE TRIGGER invoice_is_final BEFORE UPDATE OR DELETE ON invoice FOR EACH ROW EXECUTE FUNCTION refuse_final_change();
CREATE TRIGGER invoices_are_final BEFORE TRUNCATE ON invoice FOR EACH STATEMENT EXECUTE FUNCTION refuse_final_change();

CREATE TABLE invoice_draft (
  tenant text NOT NULL,
  from_t bigint NOT NULL,
  to_t bigint NOT NULL,
  entity text NOT NULL,
  currency text NOT NULL,
  total numeric(38,0) NOT NULL,
  frontier bigint NOT NULL,
  at bigint NOT NULL,
  document text NOT NULL,
  digest text NOT NULL,
  blocked text NOT NULL,
  PRIMARY KEY (tenant, from_t, to_t)
);
CREATE INDEX invoice_draft_end ON invoice_draft (to_t DESC, tenant, from_t DESC);

CREATE TABLE ledger_transaction (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text NOT NULL,
  key text NOT NULL UNIQUE,
  kind text NOT NULL,
  at bigint NOT NULL,
  currency text NOT NULL,
  text text NOT NULL,
  content text NOT NULL
);
CREATE INDEX ledger_transaction_tenant ON ledger_transaction (tenant, id);

CREATE TABLE ledger_posting (
  transaction bigint NOT NULL,
  no integer NOT NULL,
  tenant text NOT NULL,
  book text NOT NULL,
  currency text NOT NULL,
  amount numeric(38,0) NOT NULL CHECK (amount <> 0),
  invoice bigint,
  credit_grant text,
  PRIMARY KEY (transaction, no),
  CHECK (book = 'receivable/' || tenant OR (invoice IS NULL AND NOT starts_with(book, 'receivable/'))),
  CHECK ((book = 'credit/' || tenant) = (credit_grant IS NOT NULL)),
  CHECK (book = 'credit/' || tenant OR NOT starts_with(book, 'credit/'))
);
CREATE INDEX ledger_posting_book ON ledger_posting (book, currency);
CREATE INDEX ledger_posting_invoice ON ledger_posting (invoice) WHERE invoice IS NOT NULL;
CREATE INDEX ledger_posting_grant ON ledger_posting (credit_grant) WHERE credit_grant IS NOT NULL;

-- Once a statement, over all that it added: what a statement adds to a transaction sums to 0, so every transaction does,
-- at every instant. A deferred trigger runs row by row: 15 ms for 1,500 postings where this takes 2.
CREATE FUNCTION check_postings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE wrong bigint;
BEGIN
  SELECT transaction INTO wrong FROM added GROUP BY transaction HAVING sum(amount) <> 0 LIMIT 1;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'ledger transaction % does not sum to 0', wrong;
  END IF;
  -- Number 1 is there once: who comes later cannot add to a transaction.
  SELECT transaction INTO wrong FROM added GROUP BY transaction HAVING min(no) <> 1 LIMIT 1;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'ledger transaction % has its postings already', wrong;
  END IF;
  SELECT a.transaction INTO wrong FROM added a
  WHERE (SELECT t.currency = a.currency AND t.tenant = a.tenant FROM ledger_transaction t WHERE t.id = a.transaction)
    IS NOT TRUE
  LIMIT 1;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'a posting is not in the currency, or not of the tenant, of ledger transaction %', wrong;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER postings_balance AFTER INSERT ON ledger_posting
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION check_postings();
CREATE TRIGGER transaction_is_final BEFORE UPDATE OR DELETE ON ledger_transaction
  FOR EACH ROW EXECUTE FUNCTION refuse_final_change();
CREATE TRIGGER transactions_are_final BEFORE TRUNCATE ON ledger_transaction
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_final_change();
CREATE TRIGGER posting_is_final BEFORE UPDATE OR DELETE ON ledger_posting
  FOR EACH ROW EXECUTE FUNCTION refuse_final_change();
CREATE TRIGGER postings_are_final BEFORE TRUNCATE ON ledger_posting
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_final_change();

CREATE TABLE credit_grant (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text NOT NULL,
  key text NOT NULL UNIQUE,
  currency text NOT NULL,
  amount numeric(38,0) NOT NULL CHECK (amount > 0),
  priority integer NOT NULL,
  effective bigint NOT NULL,
  expires bigint,
  rollover_least numeric(38,0),
  rollover_most numeric(38,0),
  funding text NOT NULL,
  low_at integer,
  reason text NOT NULL,
  author text NOT NULL,
  at bigint NOT NULL
);
CREATE INDEX credit_grant_tenant ON credit_grant (tenant, id);
CREATE TRIGGER credit_grant_is_final BEFORE UPDATE OR DELETE ON credit_grant
  FOR EACH ROW EXECUTE FUNCTION refuse_final_change();
CREATE TRIGGER credit_grants_are_final BEFORE TRUNCATE ON credit_grant
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_final_change();

CREATE TABLE credit_notice (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text NOT NULL,
  credit_grant text NOT NULL,
  percent integer NOT NULL,
  rest numeric(38,0) NOT NULL,
  at bigint NOT NULL,
  UNIQUE (credit_grant, percent)
);
CREATE INDEX credit_notice_tenant ON credit_notice (tenant, id);

CREATE TABLE payment (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text NOT NULL,
  reference text NOT NULL,
  kind text NOT NULL,
  amount numeric(38,0) NOT NULL CHECK (amount > 0),
  currency text NOT NULL,
  received_at bigint NOT NULL,
  method text NOT NULL,
  refunds text NOT NULL,
  author text NOT NULL,
  at bigint NOT NULL,
  transaction text NOT NULL,
  UNIQUE (tenant, reference)
);
CREATE INDEX payment_tenant ON payment (tenant, id);
CREATE INDEX payment_refunds ON payment (tenant, refunds) WHERE refunds <> '';
CREATE TRIGGER payment_is_final BEFORE UPDATE OR DELETE ON payment
  FOR EACH ROW EXECUTE FUNCTION refuse_final_change();
CREATE TRIGGER payments_are_final BEFORE TRUNCATE ON payment
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_final_change();

CREATE TABLE billing_run (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  frontier bigint NOT NULL,
  until bigint NOT NULL,
  started_at bigint NOT NULL,
  finished_at bigint,
  outcome text NOT NULL,
  error text NOT NULL,
  cursor text NOT NULL,
  accounts bigint NOT NULL,
  invoices bigint NOT NULL,
  drafts bigint NOT NULL,
  blocked bigint NOT NULL,
  failed bigint NOT NULL,
  holder text NOT NULL,
  token bigint NOT NULL,
  held_until bigint NOT NULL
);
CREATE UNIQUE INDEX billing_run_running ON billing_run (frontier, until) WHERE outcome = 'running';

CREATE TABLE billing_run_failure (
  run bigint NOT NULL,
  tenant text NOT NULL,
  code text NOT NULL,
  reason text NOT NULL,
  PRIMARY KEY (run, tenant)
);
`;
