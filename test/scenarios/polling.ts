/**
 * A poller as a process of its own, so that it can stand inside a network namespace. Each line on standard input is one
 * pass; each line on standard output is that pass as JSON, with what it cost: { pass, cpuMs } or { error }.
 *
 *   interfaces SETTINGS | node-exporter URL
 */
import { createInterface } from 'node:readline';
import {
  InterfacesPoller,
  nodeExporter,
  OpenMetricsPoller,
  type Poller,
  realClock,
  realCommands,
  realDisk,
  realScrape,
} from '@tollgate/agent';

const [kind = '', setting = ''] = process.argv.slice(2);

const make = (): Poller => {
  if (kind === 'interfaces')
    return new InterfacesPoller({ clock: realClock, disk: realDisk, commands: realCommands }, JSON.parse(setting));
  if (kind === 'node-exporter')
    return new OpenMetricsPoller(
      { clock: realClock, scrape: realScrape },
      { url: setting, rules: nodeExporter(), layer: 'L2' },
    );
  throw new Error(`unknown: ${kind}`);
};

const poller = make();
for await (const _ of createInterface({ input: process.stdin })) {
  const begun = process.cpuUsage();
  let answer: unknown;
  try {
    const pass = await poller.poll();
    const { user, system } = process.cpuUsage(begun);
    answer = { pass, declaration: poller.declaration, cpuMs: (user + system) / 1000 };
  } catch (error) {
    answer = { error: error instanceof Error ? error.message : String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer, (_key, v) => (typeof v === 'bigint' ? `${v}` : v))}\n`);
}
