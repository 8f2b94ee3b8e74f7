/** One connection, cut into reads at any place, against what each request on it really was. */
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { Connection, type Exchange } from './connection.ts';

/** The most Node reads at once. */
const CHUNK = 65_536;
const HEADS = ['', 'x'.repeat(300)];

interface Plan {
  /** Length of the body, and whether its head says it. */
  readonly body: number;
  readonly declared: boolean;
  /** Index of a head in `HEADS`. */
  readonly head: number;
  /** Answered when it is announced, when it has come whole, or some reads later. */
  readonly answered: 'early' | 'whole' | number;
}

interface Sent extends Plan {
  readonly exchange: Exchange;
  readonly headBytes: number;
  /** Where its head and its body end, as bytes of the connection. */
  readonly headEnd: number;
  readonly end: number;
  /** The read that completed it. */
  wholeAt: number;
  paid: number;
  isAnswered: boolean;
}

const requestOf = ({ body, declared, head }: Plan) => {
  const lines = { 'x-pad': HEADS[head] ?? '', ...(declared ? lengthOf(body) : { 'transfer-encoding': 'chunked' }) };
  const rawHeaders = Object.entries(lines).flat();
  const text = `POST / HTTP/1.1\r\n${Object.entries(lines)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;
  const request = { method: 'POST', url: '/', rawHeaders, headers: lines, complete: false };
  return { request: request as unknown as IncomingMessage, headBytes: text.length };
};

const lengthOf = (body: number): Record<string, string> => (body > 0 ? { 'content-length': String(body) } : {});

/** Lives through it as Node would tell it: what was read in one piece is announced in order, then answers leave in order. */
class Wire {
  readonly socket = { bytesRead: 0, bytesWritten: 0, writableLength: 0 };
  readonly connection = new Connection(this.socket as unknown as Socket);
  readonly sent: Sent[] = [];
  /** Bytes there are. */
  length = 0;
  #begun = 0;
  #reads = 0;

  constructor(plans: readonly Plan[]) {
    for (const plan of plans) {
      const { request, headBytes } = requestOf(plan);
      const { connection } = this;
      const response = {} as ServerResponse;
      const yet = { tenant: undefined, isCounted: false, announced: 0, url: '/', started: 0 };
      const headEnd = this.length + headBytes;
      this.length = headEnd + plan.body;
      const exchange = { connection, request, response, ...yet };
      this.sent.push({
        ...plan,
        exchange,
        headBytes,
        headEnd,
        end: this.length,
        wholeAt: 0,
        paid: 0,
        isAnswered: false,
      });
    }
  }

  read(bytes: number): void {
    this.#reads += 1;
    this.socket.bytesRead = Math.min(this.length, this.socket.bytesRead + bytes);
    const come = this.socket.bytesRead;
    for (let next = this.sent[this.#begun]; next && next.headEnd <= come; next = this.sent[this.#begun]) {
      this.connection.begin(next.exchange);
      this.#begun += 1;
    }
    for (const one of this.sent) {
      if (one.end > come || one.exchange.request.complete) continue;
      one.exchange.request.complete = true;
      one.wholeAt = this.#reads;
    }
  }

  /** Answers what is due, in order. */
  answer(): void {
    for (let first = this.#first(); first && this.#isDue(first); first = this.#first()) {
      this.take();
      first.isAnswered = true;
      this.connection.advance(this.#name(first));
    }
  }

  /** As at a step and at an end. */
  take(): void {
    const rest = this.connection.takeRest();
    this.#pay(this.connection.last, rest);
    const { current, last } = this.connection;
    const owner = current ? this.#name(this.sent.find(({ exchange }) => exchange === current)) : last;
    this.#pay(owner, this.connection.takeIn());
  }

  #first(): Sent | undefined {
    return this.sent.slice(0, this.#begun).find(({ isAnswered }) => !isAnswered);
  }

  #isDue({ answered, exchange, wholeAt }: Sent): boolean {
    if (answered === 'early') return true;
    return exchange.request.complete && (answered === 'whole' || this.#reads - wholeAt >= answered);
  }

  #name(one: Sent | undefined): string {
    return String(one ? this.sent.indexOf(one) : -1);
  }

  #pay(owner: string | undefined, bytes: number): void {
    const one = this.sent[Number(owner)];
    assert.ok(one || bytes === 0, `${bytes} bytes of nobody`);
    if (one) one.paid += bytes;
  }
}

const plan = (declared: fc.Arbitrary<boolean>): fc.Arbitrary<Plan> =>
  fc.record({
    body: fc.oneof(fc.constant(0), fc.nat(500), fc.nat(400_000)),
    declared,
    head: fc.nat(HEADS.length - 1),
    answered: fc.oneof(fc.constantFrom('early' as const, 'whole' as const), fc.nat(4)),
  });
const reads = fc.array(
  fc.record({
    bytes: fc.oneof(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: CHUNK })),
    step: fc.boolean(),
  }),
  {
    minLength: 1,
    maxLength: 30,
  },
);

/** Lets all of it come, in reads as `cuts` has them over and over; leaves at the end. */
const live = (plans: readonly Plan[], cuts: readonly { bytes: number; step: boolean }[]): readonly Sent[] => {
  const wire = new Wire(plans);
  for (let i = 0; wire.socket.bytesRead < wire.length; i += 1) {
    const { bytes, step } = cuts[i % cuts.length] ?? { bytes: CHUNK, step: false };
    // A connection read in crumbs says nothing more after some hundred reads.
    wire.read(i < 300 ? bytes : CHUNK);
    wire.answer();
    if (step && wire.connection.isBusy) wire.take();
  }
  for (let i = 0; i < 5; i += 1) {
    wire.read(0);
    wire.answer();
  }
  wire.take();
  assert.equal(
    wire.sent.reduce((sum, { paid }) => sum + paid, 0),
    wire.length,
    'every byte is paid once',
  );
  return wire.sent;
};

/** How far each is from what it was, at most `allowed` beside the part of a head read ahead at either end. */
const near = (sent: readonly Sent[], allowed: number): void => {
  const heads = 2 * Math.max(...sent.map(({ headBytes }) => headBytes));
  for (const [i, { paid, headBytes, body }] of sent.entries()) {
    const off = Math.abs(paid - headBytes - body);
    assert.ok(off <= allowed + heads, `request ${i} of ${headBytes + body} bytes pays ${paid}`);
  }
};

test('requests that declare their lengths pay for themselves, however they are cut, piled up and answered early', () => {
  fc.assert(
    fc.property(fc.array(plan(fc.constant(true)), { minLength: 1, maxLength: 8 }), reads, (plans, cuts) =>
      near(live(plans, cuts), 0),
    ),
  );
});

test('beside chunked ones each pays for itself but for a read at either end', () => {
  fc.assert(
    fc.property(fc.array(plan(fc.boolean()), { minLength: 1, maxLength: 8 }), reads, (plans, cuts) =>
      near(live(plans, cuts), 2 * CHUNK),
    ),
  );
});

test('cut between requests, every one pays for itself to the byte', () => {
  const plans: Plan[] = [
    { body: 70_000, declared: false, head: 0, answered: 'early' },
    { body: 10, declared: true, head: 1, answered: 'whole' },
    { body: 0, declared: true, head: 0, answered: 3 },
    { body: 5000, declared: false, head: 1, answered: 'whole' },
  ];
  const wire = new Wire(plans);
  for (const { end, headEnd } of wire.sent)
    for (const to of [headEnd, end]) {
      wire.read(to - wire.socket.bytesRead);
      wire.answer();
    }
  wire.take();
  for (const { paid, headBytes, body } of wire.sent) assert.equal(paid, headBytes + body);
});

test('the rest of an upload is looked for at each step until it has come', () => {
  const wire = new Wire([{ body: 1000, declared: false, head: 0, answered: 'early' }]);
  const [one] = wire.sent as [Sent];
  wire.read(one.headBytes + 400);
  wire.answer();
  assert.equal(wire.connection.isBusy, true);
  wire.read(600);
  wire.take();
  assert.equal(one.paid, one.headBytes + 1000);
  assert.equal(wire.connection.isBusy, false);
});

test('what an upgrade carries is its own, also where an application reads requests in it', () => {
  const wire = new Wire([
    { body: 0, declared: true, head: 0, answered: 1000 },
    { body: 500, declared: true, head: 0, answered: 1000 },
  ]);
  const [upgrade] = wire.sent as [Sent];
  Object.assign(upgrade.exchange, { response: undefined });
  wire.read(upgrade.end);
  wire.read(CHUNK);
  wire.take();
  assert.equal(upgrade.paid, wire.length);
});
