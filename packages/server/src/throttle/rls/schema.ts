/**
 * The messages of Envoy's Rate Limit Service v3 and of gRPC's health check, as a protobuf description: package names,
 * field names and numbers are the wire contract. Fields we neither read nor write are left out; unknown ones are skipped.
 */
import { fromJSON, type PackageDefinition } from '@grpc/proto-loader';

type Fields = Record<string, { type: string; id: number; rule?: 'repeated' }>;
const message = (fields: Fields, nested?: object) => (nested === undefined ? { fields } : { fields, nested });
const list = (type: string, id: number) => ({ type, id, rule: 'repeated' as const });
const one = (type: string, id: number) => ({ type, id });

/** Of a status. WEEK came last, so the order is not that of length. */
export const units = ['UNKNOWN', 'SECOND', 'MINUTE', 'HOUR', 'DAY', 'MONTH', 'YEAR', 'WEEK'] as const;
export type Unit = (typeof units)[number];
export const codes = ['UNKNOWN', 'OK', 'OVER_LIMIT'] as const;
export type Code = (typeof codes)[number];
/** Of a limit in a descriptor: the same numbers, without WEEK. */
export const overrideUnits = units.slice(0, 7);

const numbered = (names: readonly string[]) => ({ values: Object.fromEntries(names.map((name, i) => [name, i])) });

const google = {
  protobuf: {
    nested: {
      Duration: message({ seconds: one('int64', 1), nanos: one('int32', 2) }),
      UInt64Value: message({ value: one('uint64', 1) }),
      Struct: { fields: { fields: { keyType: 'string', type: 'Value', id: 1 } } },
      ListValue: message({ values: list('Value', 1) }),
      NullValue: numbered(['NULL_VALUE']),
      Value: {
        oneofs: {
          kind: { oneof: ['nullValue', 'numberValue', 'stringValue', 'boolValue', 'structValue', 'listValue'] },
        },
        fields: {
          nullValue: one('NullValue', 1),
          numberValue: one('double', 2),
          stringValue: one('string', 3),
          boolValue: one('bool', 4),
          structValue: one('Struct', 5),
          listValue: one('ListValue', 6),
        },
      },
    },
  },
};

const extensions = {
  RateLimitDescriptor: message(
    {
      entries: list('Entry', 1),
      limit: one('RateLimitOverride', 2),
      hitsAddend: one('google.protobuf.UInt64Value', 3),
    },
    {
      Entry: message({ key: one('string', 1), value: one('string', 2) }),
      RateLimitOverride: message({
        requestsPerUnit: one('uint32', 1),
        unit: one('envoy.type.v3.RateLimitUnit', 2),
      }),
    },
  ),
};

const service = {
  RateLimitRequest: message({
    domain: one('string', 1),
    descriptors: list('envoy.extensions.common.ratelimit.v3.RateLimitDescriptor', 2),
    hitsAddend: one('uint32', 3),
  }),
  RateLimitResponse: message(
    {
      overallCode: one('Code', 1),
      statuses: list('DescriptorStatus', 2),
      responseHeadersToAdd: list('envoy.config.core.v3.HeaderValue', 3),
      requestHeadersToAdd: list('envoy.config.core.v3.HeaderValue', 4),
      rawBody: one('bytes', 5),
      dynamicMetadata: one('google.protobuf.Struct', 6),
    },
    {
      Code: numbered(codes),
      RateLimit: message(
        { requestsPerUnit: one('uint32', 1), unit: one('Unit', 2), name: one('string', 3) },
        { Unit: numbered(units) },
      ),
      DescriptorStatus: message({
        code: one('Code', 1),
        currentLimit: one('RateLimit', 2),
        limitRemaining: one('uint32', 3),
        durationUntilReset: one('google.protobuf.Duration', 4),
      }),
    },
  ),
  RateLimitService: {
    methods: { ShouldRateLimit: { requestType: 'RateLimitRequest', responseType: 'RateLimitResponse' } },
  },
};

const health = {
  HealthCheckRequest: message({ service: one('string', 1) }),
  HealthCheckResponse: message(
    { status: one('ServingStatus', 1) },
    { ServingStatus: numbered(['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']) },
  ),
  Health: { methods: { Check: { requestType: 'HealthCheckRequest', responseType: 'HealthCheckResponse' } } },
};

const inPackage = (path: string, nested: object): object =>
  path.split('.').reduceRight<object>((inner, name) => ({ nested: { [name]: inner } }), { nested });

/** Later packages into earlier ones, where their names meet. */
function merge(into: Record<string, unknown>, from: object): void {
  for (const [key, value] of Object.entries(from)) {
    const known = into[key];
    if (typeof known === 'object' && known !== null) merge(known as Record<string, unknown>, value as object);
    else into[key] = value;
  }
}

function description(): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  merge(all, inPackage('envoy.service.ratelimit.v3', service));
  merge(all, inPackage('envoy.extensions.common.ratelimit.v3', extensions));
  merge(all, inPackage('envoy.type.v3', { RateLimitUnit: numbered(overrideUnits) }));
  merge(
    all,
    inPackage('envoy.config.core.v3', {
      HeaderValue: message({ key: one('string', 1), value: one('string', 2) }),
    }),
  );
  merge(all, inPackage('grpc.health.v1', health));
  merge(all, { nested: { google: { nested: google } } });
  return all;
}

/** Whole numbers of 64 bits as text, so that none is rounded. */
export const packages = (): PackageDefinition =>
  fromJSON(description() as Parameters<typeof fromJSON>[0], { longs: String, enums: String, defaults: false });

export const RATE_LIMIT_SERVICE = 'envoy.service.ratelimit.v3.RateLimitService';
export const HEALTH_SERVICE = 'grpc.health.v1.Health';

export interface Descriptor {
  entries: readonly { key: string; value: string }[];
  /** Null: as configured. */
  limit: { requestsPerUnit: number; unit: Unit } | null;
  /** Decimal digits; null: the request's. */
  hitsAddend: string | null;
}
export interface RateLimitRequest {
  domain: string;
  descriptors: readonly Descriptor[];
  hitsAddend: number;
}
export interface DescriptorStatus {
  code: Code;
  /** Absent when nothing limits the descriptor. */
  currentLimit?: { requestsPerUnit: number; unit: Unit; name: string };
  limitRemaining: number;
  durationUntilReset?: { seconds: number; nanos: number };
}
export interface RateLimitResponse {
  overallCode: Code;
  statuses: DescriptorStatus[];
  responseHeadersToAdd: { key: string; value: string }[];
  rawBody: Buffer;
  /** Plain values. */
  dynamicMetadata: Readonly<Record<string, unknown>>;
}
