/** What accounts were told about their limits. */
export const name = '0003-notices';

export const sql = `
CREATE TABLE notice (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  identity_digest bytea NOT NULL UNIQUE,
  tenant text NOT NULL,
  limit_key text NOT NULL,
  version bigint NOT NULL,
  account text NOT NULL,
  subject text NOT NULL,
  from_t bigint NOT NULL,
  to_t bigint NOT NULL,
  percent bigint NOT NULL,
  used bigint NOT NULL,
  amount bigint NOT NULL,
  at bigint NOT NULL
);
CREATE INDEX notice_tenant ON notice (tenant, id);
`;
