/**
 * A cloud with one customer, for the scenario of a bill: two plans, an entity, a tax, and an interface whose counter is the
 * kernel's. What the kernel says is told to the server as of instants of two months that are over.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { call, post } from '../http.ts';
import type { Server } from '../server.ts';
import { RIGHT_ADDRESS, type Wire } from './namespace.ts';

const traffic = fileURLToPath(new URL('./traffic.js', import.meta.url));
export const SOURCE = 'host/left';
export const ACCOUNT = 'acme';
export const DAY = 86_400_000;

const PLANS = `plans:
  - key: small
    billing:
      currency: EUR
      prices:
        - { key: base, name: Small plan, fee: 31.00, term: advance }
        - key: traffic
          name: Traffic sent
          meter: network.bytes.sent
          per: kB
          included: 100
          graduated: [{ up_to: 150, unit: 0.031 }, { unit: 0.017, flat: 1.25 }]
  - key: big
    billing:
      currency: EUR
      prices:
        - { key: base, name: Big plan, fee: 77.50, term: advance }
        - key: traffic
          name: Traffic sent
          meter: network.bytes.sent
          per: kB
          included: 250
          graduated: [{ up_to: 300, unit: 0.023 }, { unit: 0.011 }]
`;
const ENTITY = `key: default
name: Wolke GmbH
address: [Hauptstrasse 1, 10115 Berlin]
tax_id: DE123456789
payment: [IBAN DE00 0000 0000]
conventions: { grace_days: 0 }
`;

/** Starts of the month before the last, of the last, and of this one. */
export function monthsBefore(now: number): [number, number, number] {
  const date = new Date(now);
  const start = (back: number): number => Date.UTC(date.getUTCFullYear(), date.getUTCMonth() - back, 1);
  return [start(2), start(1), start(0)];
}

const text = async (server: Server, method: string, path: string, body: string): Promise<void> => {
  const answer = await call(server, method, path, body, { 'content-type': 'application/yaml' });
  assert.ok(answer.status < 300, `${path}: ${answer.status} ${answer.text}`);
};

export async function openShop(server: Server, nic: string, from: number): Promise<void> {
  await text(server, 'POST', '/api/v1/plans/apply', PLANS);
  await text(server, 'PUT', '/api/v1/billing/entities', ENTITY);
  await post(server, '/api/v1/billing/taxes', { jurisdiction: 'DE', percent: '19', name: 'USt', from: iso(0) });
  await post(server, '/api/v1/accounts', { id: ACCOUNT, zone: 'UTC', currency: 'EUR' });
  const profile = 'name: Acme Ltd\naddress: [1 Main Street, London]\njurisdiction: DE\n';
  await text(server, 'PUT', `/api/v1/accounts/${ACCOUNT}/billing-profile`, profile);
  await post(server, `/api/v1/resources/${encodeURIComponent(nic)}/owner`, { account: ACCOUNT, from: iso(0) });
  await post(server, '/api/v1/subscriptions', { account: ACCOUNT, plan: 'small', from: iso(from) });
}

export const iso = (t: number): string => new Date(t).toISOString();

/** Sends so many datagrams through the interface and answers what the kernel has counted on it since it was made. */
export function send(wire: Wire, count: number, payload: number): bigint {
  const args = [RIGHT_ADDRESS, '9000', String(count), String(payload)];
  assert.match(wire.in(wire.left, process.execPath, traffic, 'udp-send', ...args), /done/);
  return wire.counters().sentBytes;
}

/** The agent's side: readings of the one counter, numbered. */
export class Reporter {
  private readonly server: Server;
  private readonly resource: string;
  private sequence = 1;

  constructor(server: Server, resource: string) {
    this.server = server;
    this.resource = resource;
  }

  async tell(readings: readonly (readonly [number, bigint])[], completeThrough: number): Promise<void> {
    const series = [{ resource: this.resource, meter: 'network.bytes.sent', epoch: 'boot/7', trafficType: 'public' }];
    const batch = {
      ...{ source: SOURCE, run: 'one', sequence: this.sequence, sentAt: Date.now(), completeThrough, series },
      readings: readings.map(([t, value]) => [0, t, value.toString()]),
    };
    this.sequence += readings.length;
    const outcome = await post<{ accepted: number }>(this.server, '/api/v1/readings', batch);
    assert.equal(outcome.accepted, readings.length, JSON.stringify(outcome));
  }
}
