/**
 * What the ingest routes take, for the OpenAPI description alone. These schemas are no part of the routes: ingest reads
 * the bytes itself, once and without losing digits, and no validator runs over them.
 */
import { type TSchema, Type } from '@sinclair/typebox';
import { batchHeaders, limits } from '@tollgate/event';
import { trafficTypes } from '../domain/series.ts';
import { Words } from './provider.ts';

const Attribute = (description: string) => Type.String({ minLength: 1, maxLength: limits.attributeBytes, description });
const Time = (description: string) =>
  Type.Unsafe<number | string>({
    type: ['integer', 'string'],
    description: `${description}: ms since 1970, or RFC 3339`,
  });

const CloudEvent = Type.Object(
  {
    specversion: Type.Literal('1.0'),
    id: Attribute('With the source, the identity of the event: the same counts once'),
    source: Attribute('Who reports; the key must be granted it'),
    type: Attribute('What meters choose by'),
    subject: Type.Optional(Attribute('What is measured; its owner gets the usage. Needed for cumulative meters')),
    time: Type.Optional(
      Type.String({ format: 'date-time', description: 'With a zone; the time of receipt when left away' }),
    ),
    datacontenttype: Type.Optional(Type.String({ description: 'application/json, or left away' })),
    data: Type.Optional(Type.Unsafe<unknown>({ description: `JSON of at most ${limits.dataBytes} bytes` })),
  },
  { additionalProperties: true, description: 'CloudEvent 1.0; extension attributes are allowed' },
);
const CloudEvents = Type.Array(CloudEvent, { maxItems: limits.itemsPerRequest });

const SeriesHead = Type.Object({
  resource: Attribute('The measured object: a NIC, a volume, a subject'),
  meter: Attribute('Key of a cumulative meter'),
  epoch: Attribute('What the values hang together by; a new text is a new counter'),
  dimensions: Type.Optional(Type.Record(Type.String(), Type.String())),
  start: Type.Optional(Time('When the counter stood at zero, if the source can vouch for it')),
  width: Type.Optional(Type.Unsafe<32 | 64>({ type: 'integer', enum: [32, 64] })),
  lineBits: Type.Optional(Type.Integer({ minimum: 0, description: 'Line speed in bits per second; 0 unknown' })),
  period: Type.Optional(Type.Integer({ minimum: 0, description: 'Poll period in ms; 0 unknown' })),
  layer: Type.Optional(Type.String({ description: 'Where bytes are counted: L2, L3, wire, app' })),
  name: Type.Optional(Type.String({ description: 'Name of the resource for people' })),
  trafficType: Type.Optional(Words(trafficTypes)),
  tag: Type.Optional(Type.String({ description: 'VLAN id or VNI' })),
});
const Value = Type.Unsafe<string | number>({
  type: ['string', 'integer'],
  description: '0 .. 2^64-1 as digits, or a JSON integer below 2^53',
});
/** A row as OpenAPI 3.1 says it; `items` too, for readers that know no prefixItems. */
const Row = (parts: readonly TSchema[], least: number, description: string) =>
  Type.Unsafe<unknown[]>({
    type: 'array',
    prefixItems: parts,
    items: {},
    minItems: least,
    maxItems: parts.length,
    description,
  });
const Index = Type.Integer({ minimum: 0, description: 'Index into series' });
const Ms = (description: string) => Type.Integer({ minimum: 0, description });

const Readings = Type.Object(
  {
    source: Attribute('Who reports; the key must be granted it'),
    run: Attribute("One life of the sender's numbering"),
    sequence: Type.Integer({
      minimum: 0,
      description: 'Number of the first item: readings in order, then end markers',
    }),
    sentAt: Time("The sender's clock when it sent"),
    completeThrough: Type.Optional(Time('Every fact of this source up to it has been sent, this batch included')),
    series: Type.Array(SeriesHead, { maxItems: limits.seriesPerRequest }),
    readings: Type.Array(
      Row(
        [Index, Ms('Time'), Value, Ms('When the counter stood at zero')],
        3,
        '[series, time, value] or [series, time, value, start]',
      ),
      { maxItems: limits.itemsPerRequest },
    ),
    ended: Type.Optional(
      Type.Array(Row([Index, Ms('Time')], 2, '[series, time]'), { description: 'Counters that are gone as of a time' }),
    ),
    resources: Type.Optional(
      Type.Array(
        Type.Object({
          id: Type.String(),
          name: Type.Optional(Type.String()),
          trafficType: Type.Optional(Words(trafficTypes)),
          tag: Type.Optional(Type.String()),
        }),
        { description: 'Hints about resources nobody has described yet' },
      ),
    ),
  },
  { description: 'Counter readings of one source' },
);

const headers = {
  [batchHeaders.run]: "One life of the sender's numbering",
  [batchHeaders.sequence]: 'Number of the first event',
  [batchHeaders.completeThrough]: 'Every fact of the source up to it has been sent, this batch included',
  [batchHeaders.source]: 'Whose declaration it is; the source of the first event when left away',
  [batchHeaders.sentAt]: "The sender's clock when it sent",
  [batchHeaders.set]: 'Backfill set the events belong to',
};

const json = (schema: TSchema) => ({ schema });
const structured = {
  description: 'One event, an array of them, or the data of one with its attributes in ce- headers',
};

interface Operation {
  requestBody?: unknown;
  parameters?: unknown[];
}
interface Described {
  paths?: Record<string, Record<string, Operation | undefined> | undefined>;
}

/** Puts the bodies into the description made from the routes. */
export const describeIngest = <D extends object>(description: D): D => {
  const { paths } = description as Described;
  const [events, readings] = [paths?.['/api/v1/events']?.post, paths?.['/api/v1/readings']?.post];
  if (events !== undefined) {
    events.requestBody = {
      ...structured,
      required: true,
      content: {
        'application/cloudevents-batch+json': json(CloudEvents),
        'application/cloudevents+json': json(CloudEvent),
        'application/json': json(CloudEvents),
      },
    };
    events.parameters = Object.entries(headers).map(([name, about]) => ({
      name,
      in: 'header',
      required: false,
      description: about,
      schema: { type: 'string' },
    }));
  }
  if (readings !== undefined)
    readings.requestBody = { required: true, content: { 'application/json': json(Readings) } };
  return description;
};
