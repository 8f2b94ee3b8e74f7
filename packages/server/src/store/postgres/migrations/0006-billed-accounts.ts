/** What was billed last of each account, whoever got it, and the keys that credit notes were made under. */
export const name = '0006-billed-accounts';

// Cut out of the text: elsewhere in a document may be what PostgreSQL's JSON does not take, such as an escaped U+0000.
const accounts = String.raw`substring(i.document from '"accounts":(\[(?:"(?:[^"\\]|\\.)*",?)*\])')`;

export const sql = `
ALTER TABLE billing_account
  ADD COLUMN last_document bigint NOT NULL DEFAULT 0,
  ADD COLUMN frontier bigint NOT NULL DEFAULT 0;
INSERT INTO billing_account (tenant, last_document, frontier)
SELECT a.account, max(i.id), max(i.frontier)
FROM invoice i CROSS JOIN LATERAL json_array_elements_text(
  coalesce(${accounts}::json, json_build_array(i.tenant))) AS a (account)
GROUP BY a.account
ON CONFLICT (tenant) DO UPDATE SET last_document = excluded.last_document, frontier = excluded.frontier;

ALTER TABLE invoice ADD COLUMN request_key text;
CREATE UNIQUE INDEX invoice_request_key ON invoice (tenant, request_key) WHERE request_key IS NOT NULL;
`;
