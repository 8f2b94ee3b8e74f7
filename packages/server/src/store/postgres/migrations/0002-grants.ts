/** Units of strict quotas that were granted ahead of their use, by counter and period. */
export const name = '0002-grants';

export const sql = `
CREATE TABLE limit_grant (
  tenant text NOT NULL,
  counter text NOT NULL,
  from_t bigint NOT NULL,
  to_t bigint NOT NULL,
  taken bigint NOT NULL CHECK (taken >= 0),
  last bigint NOT NULL,
  PRIMARY KEY (counter, from_t)
);
CREATE INDEX limit_grant_end ON limit_grant (to_t);
`;
