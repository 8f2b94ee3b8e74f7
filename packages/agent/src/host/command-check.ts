/** `tollgate-agent check`: are settings and mapping right, and what would each object that is here belong to? */
import { realCommands } from '../poll/commands.ts';
import type { PollPass } from '../poll/poller.ts';
import { realScrape } from '../poll/scrape.ts';
import { realClock, realDisk } from '../real.ts';
import type { Command } from './command.ts';
import type { Seat } from './daemon-beat.ts';
import { type Found, ownerOf } from './daemon-hints.ts';
import { objectsOf } from './daemon-pass.ts';
import { table } from './daemon-status.ts';
import { intervalOf } from './encapsulation-sides.ts';
import type { WatchedTunnel } from './encapsulation-watch.ts';
import { type Assignment, assign, assignedAt, type Mapping } from './mapping.ts';
import { MappingFile } from './mapping-watch.ts';
import { seatsOf } from './wiring.ts';
import { realMappingFiles } from './wiring-files.ts';

interface Shown {
  poller: string;
  object: string;
  resource: string;
  name: string;
  tag: string;
  /** null: nobody's. */
  account: string | null;
  trafficType: string;
  billable: string;
  /** Line of the mapping that decides; 0 none. */
  line: number;
  /** Instants at which something of it changes, ms since 1970. */
  changes: number[];
}

export const check = async ({ config, json, terminal }: Command): Promise<number> => {
  const { values } = config;
  const mapping = new MappingFile(values.mapping, realMappingFiles, () => undefined);
  const world = { clock: realClock, disk: realDisk, commands: realCommands, scrape: realScrape };
  const problems = [...mapping.problems];
  const rows: Shown[] = [];
  let seats: Seat[] = [];
  try {
    seats = seatsOf(world, config.pollers, () => null);
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  for (const seat of seats) {
    try {
      const pass = await seat.poller.poll(AbortSignal.timeout(seat.timeoutMs));
      for (const object of objectsOf(values.source, seat, pass)) rows.push(shown(object, mapping.current, pass.at));
      problems.push(...config.tunnels.flatMap((tunnel) => wrongWith(tunnel, seat, pass)));
      for (const trouble of pass.troubles ?? [])
        problems.push(`poller ${seat.poller.name}: ${trouble.object} ${trouble.message} (${trouble.code})`);
    } catch (error) {
      problems.push(`poller ${seat.poller.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const { path, current } = mapping;
  if (json)
    terminal.out(
      `${JSON.stringify({ file: config.file, mapping: { path, rules: current.rules.length }, objects: rows, problems }, null, 2)}\n`,
    );
  else terminal.out(page(rows, path === '' ? 'mapping: none' : `mapping: ${path}, ${current.rules.length} rules`));
  for (const problem of problems) terminal.err(`tollgate-agent: ${problem}\n`);
  return problems.length > 0 ? 1 : 0;
};

/** Sides that nothing counts, or that do not add up: an interval of no length shows it. */
const wrongWith = (tunnel: WatchedTunnel, { poller }: Seat, pass: PollPass): string[] => {
  if (tunnel.poller !== poller.name) return [];
  const at = new Map([[poller.name, { pass, declaration: poller.declaration }]]);
  return (intervalOf(tunnel, at, at).refusals ?? []).map((why) => `tunnel ${tunnel.tunnel}: ${why}`);
};

const shown = (object: Found, mapping: Mapping, at: number): Shown => {
  const history = assign(object, mapping);
  const now: Assignment = assignedAt(history, at);
  return {
    poller: object.poller,
    object: object.object,
    resource: object.resource,
    name: object.name ?? '',
    tag: now.tag ?? object.tag ?? '',
    account: ownerOf(object, now),
    trafficType: now.trafficType ?? object.trafficType ?? '',
    billable: now.billable === null ? '' : String(now.billable),
    line: now.rule?.line ?? 0,
    changes: history.slice(1).map(({ from }) => from),
  };
};

const page = (rows: readonly Shown[], mapping: string): string => {
  const unattributed = rows.filter(({ account }) => account === null).length;
  const lines = table(
    ['poller', 'object', 'name', 'tag', 'account', 'traffic', 'billable', 'rule', 'changes'],
    rows.map((r) => [
      r.poller,
      r.object,
      r.name === r.object ? '' : r.name,
      r.tag,
      r.account ?? 'unattributed',
      r.trafficType,
      r.billable,
      r.line === 0 ? '' : `line ${r.line}`,
      r.changes.map((at) => new Date(at).toISOString()).join(' '),
    ]),
  );
  return `${mapping}; ${rows.length} objects, ${unattributed} of nobody\n${lines.map((line) => `${line}\n`).join('')}`;
};
