/** The JSON face: the same messages in proto3's JSON, read with names in either case, written as proto3 writes them. */
import { RlsError } from './call.ts';
import { type Descriptor, overrideUnits, type RateLimitRequest, type RateLimitResponse, type Unit } from './schema.ts';

/** Throws RlsError with the path of what cannot be read. */
export function requestFromJson(body: unknown): RateLimitRequest {
  const fields = objectAt(body, 'body', ['domain', 'descriptors', 'hitsAddend', 'hits_addend']);
  const descriptors = listAt(fields.descriptors, 'descriptors').map((d, i) => descriptorAt(d, `descriptors[${i}]`));
  const hits = uintAt(fields.hitsAddend ?? fields.hits_addend ?? 0, 'hitsAddend', 2n ** 32n);
  return { domain: textAt(fields.domain, 'domain'), descriptors, hitsAddend: Number(hits) };
}

/** `null` and absent fields are defaults, as in proto3. */
export function responseToJson(response: RateLimitResponse): Record<string, unknown> {
  const { overallCode, statuses, responseHeadersToAdd, rawBody, dynamicMetadata } = response;
  return {
    overallCode,
    statuses: statuses.map(({ durationUntilReset, limitRemaining, ...rest }) => ({
      ...rest,
      ...(limitRemaining === 0 ? {} : { limitRemaining }),
      ...(durationUntilReset === undefined ? {} : { durationUntilReset: durationText(durationUntilReset) }),
    })),
    ...(responseHeadersToAdd.length === 0 ? {} : { responseHeadersToAdd }),
    ...(rawBody.length === 0 ? {} : { rawBody: rawBody.toString('base64') }),
    ...(Object.keys(dynamicMetadata).length === 0 ? {} : { dynamicMetadata }),
  };
}

/** Seconds with 0, 3 or 9 decimals: ours are milliseconds. */
function durationText({ seconds, nanos }: { seconds: number; nanos: number }): string {
  return nanos === 0 ? `${seconds}s` : `${seconds}.${String(nanos / 1_000_000).padStart(3, '0')}s`;
}

function descriptorAt(value: unknown, path: string): Descriptor {
  const fields = objectAt(value, path, ['entries', 'limit', 'hitsAddend', 'hits_addend']);
  const entries = listAt(fields.entries, `${path}.entries`).map((entry, i) => {
    const at = `${path}.entries[${i}]`;
    const { key, value: of } = objectAt(entry, at, ['key', 'value']);
    return { key: textAt(key, `${at}.key`), value: textAt(of, `${at}.value`) };
  });
  const own = fields.hitsAddend ?? fields.hits_addend ?? null;
  return {
    entries,
    limit: fields.limit == null ? null : limitAt(fields.limit, `${path}.limit`),
    hitsAddend: own === null ? null : String(uintAt(own, `${path}.hitsAddend`, 2n ** 64n)),
  };
}

function limitAt(value: unknown, path: string): NonNullable<Descriptor['limit']> {
  const fields = objectAt(value, path, ['requestsPerUnit', 'requests_per_unit', 'unit']);
  const amount = uintAt(fields.requestsPerUnit ?? fields.requests_per_unit ?? 0, `${path}.requestsPerUnit`, 2n ** 32n);
  const unit = typeof fields.unit === 'number' ? overrideUnits[fields.unit] : (fields.unit ?? 'UNKNOWN');
  if (!overrideUnits.includes(unit as Unit))
    throw new RlsError(`${path}.unit must be one of ${overrideUnits.join(', ')}`);
  return { requestsPerUnit: Number(amount), unit: unit as Unit };
}

function objectAt(value: unknown, path: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RlsError(`${path} must be an object`);
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new RlsError(`${path} has no field ${JSON.stringify(unknown)}: ${known.join(', ')}`);
  return value as Record<string, unknown>;
}

function listAt(value: unknown, path: string): readonly unknown[] {
  if (value == null) return [];
  if (!Array.isArray(value)) throw new RlsError(`${path} must be a list`);
  return value;
}

function textAt(value: unknown, path: string): string {
  if (value == null) return '';
  if (typeof value !== 'string') throw new RlsError(`${path} must be a text`);
  return value;
}

/** Numbers of 64 bits come as text. A number above 2^53 has lost digits already, so it is refused. */
function uintAt(value: unknown, path: string, below: bigint): bigint {
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text === 'string' && /^\d{1,20}$/.test(text) && BigInt(text) < below) return BigInt(text);
  throw new RlsError(`${path} must be a whole number below ${below}, as a number or (from 2^53) as text`);
}
