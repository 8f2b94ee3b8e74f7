/** What a person sees when the server starts and stops: where everything is, and where to look next. */
import type { Config } from './config.ts';

export const say = (text: string): void => {
  process.stderr.write(text);
};

export interface Started {
  version: string;
  url: string;
  /** Where Envoy is answered; null: nowhere. */
  rls: string | null;
  config: Config;
  logFile: string;
  /** The new administrator key; null when it was shown at an earlier start, '' when there is none to show. */
  newKey: string | null;
  /** Interfaces metered; 0: the collector is off. */
  interfaces: number;
  source: string;
  /** How the engines run: one short text each. */
  controlStore: string;
  usageStore: string;
  tookMs: number;
}

const line = (name: string, text: string): string => `  ${name.padEnd(10)} ${text}\n`;

export const startedText = (s: Started): string => {
  const keyFile = `${s.config.dataDir}/admin.key`;
  return [
    `\nTollgate ${s.version} runs, ready after ${(s.tookMs / 1000).toFixed(1)} s.\n\n`,
    line('API', `${s.url}  (description: ${s.url}/openapi.json)`),
    ...(s.rls === null ? [] : [line('limits', `Envoy's Rate Limit Service (gRPC) on ${s.rls}`)]),
    line('data', `${s.config.dataDir}  (${s.controlStore}, ${s.usageStore})`),
    line('log', s.logFile),
    s.interfaces > 0
      ? line(
          'metering',
          `${s.interfaces} interfaces of this machine, every ${s.config.pollSeconds} s, as source ${s.source}`,
        )
      : line(
          'metering',
          s.config.readOnly ? 'nothing: this server only reads' : 'what is sent; the local collector is off',
        ),
    s.newKey === null
      ? line('key', keyFile)
      : s.newKey === ''
        ? line('key', 'those of the installation it was copied from')
        : `\n  Administrator key, shown this once (kept in ${keyFile}):\n\n      ${s.newKey}\n`,
    '\nLook next, in another terminal:\n\n',
    line('', 'npx tollgate usage     bytes and packets of every interface, some seconds from now'),
    line('', 'npx tollgate doctor    is everything as it should be'),
    line('', 'npx tollgate --help    everything else'),
    '\nCtrl-C stops it.\n',
  ].join('');
};
