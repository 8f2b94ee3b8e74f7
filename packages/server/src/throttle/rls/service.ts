/** The gRPC face: Envoy's Rate Limit Service v3 and gRPC's health check, on one port. */
import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { RlsError } from './call.ts';
import {
  type Descriptor,
  HEALTH_SERVICE,
  packages,
  RATE_LIMIT_SERVICE,
  type RateLimitRequest,
  type RateLimitResponse,
} from './schema.ts';

export interface RlsSettings {
  host: string;
  /** 0: any free one. */
  port: number;
  answer(request: RateLimitRequest): Promise<RateLimitResponse>;
  /** False while the server stops: health says NOT_SERVING, so that proxies go elsewhere. */
  isServing(): boolean;
  log: { error(detail: object, message: string): void };
}

export interface RlsServer {
  port: number;
  close(): Promise<void>;
}

/** A request of 100 descriptors with long values is a few 10 KB. */
const MESSAGE_BYTES = 1 << 20;
const CLOSE_MS = 1000;

export async function openRls(settings: RlsSettings): Promise<RlsServer> {
  const server = new Server({ 'grpc.max_receive_message_length': MESSAGE_BYTES });
  const services = packages();
  server.addService(services[RATE_LIMIT_SERVICE] as ServiceDefinition, rateLimitService(settings));
  server.addService(services[HEALTH_SERVICE] as ServiceDefinition, healthService(settings));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address(settings), ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, close: () => close(server) };
}

const address = ({ host, port }: RlsSettings): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** What is being answered may end; connections that stay open are then cut. */
async function close(server: Server): Promise<void> {
  const cut = setTimeout(() => server.forceShutdown(), CLOSE_MS);
  await new Promise<void>((resolve) => {
    server.tryShutdown(() => resolve());
  });
  clearTimeout(cut);
}

interface Wire {
  domain?: string;
  descriptors?: { entries?: { key?: string; value?: string }[]; limit?: WireLimit; hitsAddend?: { value?: string } }[];
  hitsAddend?: number;
}
interface WireLimit {
  requestsPerUnit?: number;
  unit?: string;
}

function rateLimitService({ answer, log }: RlsSettings): UntypedServiceImplementation {
  const shouldRateLimit: handleUnaryCall<Wire, object> = (call, done) => {
    answer(fromWire(call.request)).then(
      (response) => done(null, toWire(response)),
      (error: unknown) => {
        if (error instanceof RlsError) return done({ code: status.INVALID_ARGUMENT, details: error.message });
        log.error({ err: error }, 'a rate limit call failed');
        done({ code: status.INTERNAL, details: 'The decision failed; the server log says why.' });
      },
    );
  };
  return { ShouldRateLimit: shouldRateLimit };
}

function healthService({ isServing }: RlsSettings): UntypedServiceImplementation {
  const check: handleUnaryCall<{ service?: string }, { status: string }> = (call, done) => {
    const { service = '' } = call.request;
    if (service === '' || service === RATE_LIMIT_SERVICE)
      return done(null, { status: isServing() ? 'SERVING' : 'NOT_SERVING' });
    done({ code: status.NOT_FOUND, details: `no service ${service} here` });
  };
  return { Check: check };
}

/** Absent fields are the defaults of proto3. */
function fromWire({ domain = '', descriptors = [], hitsAddend = 0 }: Wire): RateLimitRequest {
  return {
    domain,
    hitsAddend,
    descriptors: descriptors.map(
      ({ entries = [], limit, hitsAddend: own }): Descriptor => ({
        entries: entries.map(({ key = '', value = '' }) => ({ key, value })),
        limit: limit === undefined ? null : limitOf(limit),
        hitsAddend: own === undefined ? null : (own.value ?? '0'),
      }),
    ),
  };
}

const limitOf = ({ requestsPerUnit = 0, unit = 'UNKNOWN' }: WireLimit): Descriptor['limit'] => ({
  requestsPerUnit,
  unit: unit as NonNullable<Descriptor['limit']>['unit'],
});

const toWire = (response: RateLimitResponse): object => ({
  ...response,
  dynamicMetadata: structOf(response.dynamicMetadata),
});

const structOf = (values: Readonly<Record<string, unknown>>): object => ({
  fields: Object.fromEntries(Object.entries(values).map(([name, value]) => [name, wireValue(value)])),
});

function wireValue(value: unknown): object {
  if (typeof value === 'number') return { numberValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(wireValue) } };
  return { stringValue: String(value) };
}
