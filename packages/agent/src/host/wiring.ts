/** From settings to what runs: pollers by their kind. */
import type { Clock, Disk } from '../environment.ts';
import type { Commands } from '../poll/commands.ts';
import { InterfacesPoller } from '../poll/interfaces.ts';
import { IptablesPoller, type IptablesSettings } from '../poll/iptables.ts';
import { virtualRouter } from '../poll/iptables-chains.ts';
import { LibvirtPoller } from '../poll/libvirt.ts';
import { NftPoller, type NftSettings } from '../poll/nft.ts';
import { OpenMetricsPoller, type OpenMetricsSettings } from '../poll/openmetrics.ts';
import { nodeExporter } from '../poll/openmetrics-rules.ts';
import type { Poller } from '../poll/poller.ts';
import type { Scrape } from '../poll/scrape.ts';
import type { Seat } from './daemon-beat.ts';
import type { PollerConfig, PollerKind } from './settings-pollers.ts';

export interface PollingWorld {
  clock: Clock;
  disk: Disk;
  commands: Commands;
  scrape: Scrape;
}

/** What the tables of settings-pollers.ts made sure of: the options have the names and types of the poller's settings. */
type Options = Readonly<Record<string, never>>;
type Maker = (world: PollingWorld, config: PollerConfig, memory: string | null) => Poller;

/** Options that were not given are left away, so that the poller's own defaults hold. */
const given = (options: Readonly<Record<string, unknown>>): Options =>
  Object.fromEntries(
    Object.entries(options).filter(([, value]) => {
      if (value === '') return false;
      return typeof value !== 'object' || value === null || Object.keys(value).length > 0;
    }),
  ) as Options;

const bounds = ({ name, timeoutMs }: PollerConfig) => ({ name, timeoutMs });

const makers: Readonly<Record<PollerKind, Maker>> = {
  linux: (world, config, memory) =>
    new InterfacesPoller(world, { ...given(config.options), ...bounds(config) }, memory),
  nft: (world, config, memory) =>
    new NftPoller(world, { ...(given(config.options) as NftSettings), ...bounds(config) }, memory),
  iptables: (world, config, memory) => new IptablesPoller(world, iptablesSettings(config), memory),
  libvirt: (world, config, memory) => new LibvirtPoller(world, { ...given(config.options), ...bounds(config) }, memory),
  openmetrics: (world, config, memory) => new OpenMetricsPoller(world, openMetricsSettings(config), memory),
};

const iptablesSettings = (config: PollerConfig): IptablesSettings => {
  const { virtualRouter: isRouter, publicDevice, privateGateways, chains, ...options } = config.options;
  const own = (chains as readonly Options[] | undefined)?.map(given) ?? [];
  const router = isRouter ? virtualRouter(given({ publicDevice, privateGateways })) : [];
  // The first fitting rule decides, so what the operator wrote stands before what routers have.
  return {
    ...given(options),
    ...bounds(config),
    chains: [...(own as unknown as IptablesSettings['chains']), ...router],
  };
};

const openMetricsSettings = (config: PollerConfig): OpenMetricsSettings => {
  const { nodeExporter: isNode, rules, ...options } = config.options;
  const own = (rules as readonly Record<string, unknown>[] | undefined)?.map(ruleOf) ?? [];
  return {
    ...(given(options) as unknown as OpenMetricsSettings),
    ...bounds(config),
    rules: [...own, ...(isNode ? nodeExporter() : [])],
  };
};

const ruleOf = ({ fromZero, joins, ...rule }: Record<string, unknown>): OpenMetricsSettings['rules'][number] =>
  ({
    ...given(rule),
    ...(fromZero === '' ? {} : { fromZero: fromZero === 'true' }),
    ...(Array.isArray(joins) && joins.length > 0 ? { joins: joins.map((join) => ({ on: [], ...given(join) })) } : {}),
  }) as unknown as OpenMetricsSettings['rules'][number];

/** Throws an Error that names the poller when one cannot be made: no /proc, an address that is none. */
export const seatsOf = (
  world: PollingWorld,
  configs: readonly PollerConfig[],
  remembered: (poller: string) => string | null,
): Seat[] =>
  configs.map((config) => {
    const { kind, name, intervalMs, timeoutMs } = config;
    try {
      return { kind, intervalMs, timeoutMs, poller: makers[kind](world, config, remembered(name)) };
    } catch (error) {
      throw new Error(`poller ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
