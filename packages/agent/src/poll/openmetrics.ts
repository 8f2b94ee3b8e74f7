/** Scrapes a Prometheus or OpenMetrics page: chosen counters become readings. */
import type { Clock } from '../environment.ts';
import { parseExposition } from './exposition.ts';
import { readPage } from './openmetrics-read.ts';
import type { MetricRule } from './openmetrics-rules.ts';
import type { Declaration, Poller, PollPass } from './poller.ts';
import type { Scrape } from './scrape.ts';
import { Tracker } from './tracker.ts';
import { Troubles } from './troubles.ts';

export interface OpenMetricsSettings {
  name?: string;
  url: string;
  rules: readonly MetricRule[];
  headers?: Readonly<Record<string, string>>;
  /** Default 10 s. */
  timeoutMs?: number;
  /** Default 32 MiB. */
  maxBytes?: number;
  /** Values above 2^53: `count` (default) counts and reports them, `skip` leaves them out and reports them. */
  inexact?: 'count' | 'skip';
  /** Default app: nothing is known of headers. node_exporter's interfaces are L2. */
  layer?: Declaration['layer'];
  viewpoint?: Declaration['viewpoint'];
}

const ACCEPT = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5';

export class OpenMetricsPoller implements Poller {
  readonly name: string;
  readonly declaration: Declaration;
  readonly #world: { clock: Clock; scrape: Scrape };
  readonly #settings: OpenMetricsSettings;
  readonly #tracker: Tracker;
  readonly #troubles = new Troubles();

  /** Throws when the address is none. */
  constructor(world: { clock: Clock; scrape: Scrape }, settings: OpenMetricsSettings, memory: string | null = null) {
    if (!/^https?:\/\/[^/]/.test(settings.url))
      throw new Error(`"${settings.url}" is no address: http://... or https://...`);
    this.name = settings.name ?? 'openmetrics';
    this.#world = world;
    this.#settings = settings;
    this.#tracker = new Tracker(memory);
    const parts = (pick: (rule: MetricRule) => readonly string[]): string[] => [
      ...new Set(settings.rules.flatMap(pick)),
    ];
    this.declaration = {
      kind: 'openmetrics',
      identity: parts((rule) => rule.identity),
      epoch: parts((rule) => rule.epoch ?? (rule.ownProcess ? ['created', 'process start'] : ['created'])),
      width: 64,
      layer: settings.layer ?? 'app',
      viewpoint: settings.viewpoint ?? 'device',
      wirePackets: false,
    };
  }

  async poll(signal?: AbortSignal): Promise<PollPass> {
    const { url, rules, headers, timeoutMs = 10_000, maxBytes = 32 * 1024 * 1024, inexact = 'count' } = this.#settings;
    const answer = await this.#world.scrape.get(url, {
      timeoutMs,
      maxBytes,
      headers: { accept: ACCEPT, ...headers },
      ...(signal ? { signal } : {}),
    });
    if (answer.status !== 200) throw new Error(`${this.name}: the page answered ${answer.status}`);
    const at = this.#world.clock.now();
    const isOpenMetrics = /^application\/openmetrics-text\b/i.test(answer.contentType);
    const page = parseExposition(answer.body, isOpenMetrics);
    const pastOf = this.#tracker.pastOf.bind(this.#tracker);
    const { seen, unread, troubles } = readPage(page, { rules, inexact, at, pastOf });
    signal?.throwIfAborted();
    return { ...this.#tracker.take({ at, seen, unread }), troubles: this.#troubles.fresh(troubles) };
  }
}
