/** The pollers, for programs that wire them themselves. */
export { type CommandBounds, type Commands, realCommands } from './commands.ts';
export { InterfacesPoller, type InterfacesSettings } from './interfaces.ts';
export { type IptablesBackend, IptablesPoller, type IptablesSettings } from './iptables.ts';
export { type ChainRule, virtualRouter } from './iptables-chains.ts';
export { LibvirtPoller, type LibvirtSettings } from './libvirt.ts';
export { NftPoller, type NftSettings } from './nft.ts';
export { OpenMetricsPoller, type OpenMetricsSettings } from './openmetrics.ts';
export { type Join, type MetricRule, nodeExporter } from './openmetrics-rules.ts';
export type { Counted, Declaration, Gone, Hints, Poller, PollPass, Trouble } from './poller.ts';
export { realScrape, type Scrape, type ScrapeAnswer } from './scrape.ts';
