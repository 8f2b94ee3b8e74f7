/** From the same settings to what a service measures with: `openUsage(usageSettings(loadAgentConfig()))`. */
import type { UsageSettings } from '../publish/usage.ts';
import { type AgentConfig, ConfigError } from './config.ts';

/** Throws ConfigError for what a service cannot do without: the server, a key, a folder for the spool. */
export const usageSettings = ({ values }: Pick<AgentConfig, 'values'>): UsageSettings => {
  const wanted = ['server.url', 'server.key', 'spool.folder'] as const;
  const missing = wanted.filter((name) => values[name] === '');
  if (missing.length > 0) throw new ConfigError(missing.map((name) => `${name} is not set`));
  return {
    url: values['server.url'],
    key: values['server.key'],
    source: values.source,
    spool: values['spool.folder'],
    maxBytes: values['spool.maxBytes'],
    segmentBytes: values['spool.segmentBytes'],
    startupDelayMs: values['publish.startupDelay'],
    intervalMs: values['publish.interval'],
    portionRecords: values['publish.recordsPerPortion'],
    bucketMs: values['measure.bucket'],
    keysMax: values['measure.maxKeys'],
  };
};
