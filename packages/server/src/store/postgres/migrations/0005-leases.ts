/** Units of rates and of what is held at once that servers have leased, by counter and holder. */
export const name = '0005-leases';

export const sql = `
CREATE TABLE limit_lease (
  tenant text NOT NULL,
  counter text NOT NULL,
  holder text NOT NULL,
  units bigint NOT NULL CHECK (units >= 0),
  until_t bigint NOT NULL,
  PRIMARY KEY (counter, holder)
);
CREATE INDEX limit_lease_end ON limit_lease (until_t);
`;
