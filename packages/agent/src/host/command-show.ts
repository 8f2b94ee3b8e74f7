/** `tollgate-agent config` and `tollgate-agent status`: what holds, and what runs. */
import { realClock, realDisk } from '../real.ts';
import type { Command } from './command.ts';
import { parseStatus, STALE_MS, statusPage, table } from './daemon-status.ts';
import type { WatchedTunnel } from './encapsulation-watch.ts';
import { settingNames, settingOf } from './settings.ts';
import type { PollerConfig } from './settings-pollers.ts';
import { showValue } from './settings-values.ts';

/** Headers may hold keys of their own. */
const shownOptions = ({ options }: PollerConfig): Record<string, unknown> => {
  const { headers, ...others } = options;
  return headers === undefined ? others : { ...others, headers: Object.keys(headers) };
};

export const showConfig = ({ config, json, terminal }: Command): number => {
  const rows = settingNames.map((name) => {
    const setting = settingOf(name);
    const value = config.values[name];
    const shown = setting.secret && value !== '' ? '(set)' : showValue(setting, value);
    return { name, value: shown, origin: config.origins[name] };
  });
  const pollers = config.pollers.map((poller) => ({ ...poller, options: shownOptions(poller) }));
  if (json) {
    terminal.out(
      `${JSON.stringify({ file: config.file, settings: rows, pollers, tunnels: config.tunnels }, null, 2)}\n`,
    );
    return 0;
  }
  const lines = [
    ...table(
      ['setting', 'value', 'from'],
      rows.map(({ name, value, origin }) => [name, value === '' ? '-' : value, origin]),
    ),
    '',
    ...table(
      ['poller', 'kind', 'interval', 'timeout', 'options'],
      pollers.map((p) => [p.name, p.kind, `${p.intervalMs} ms`, `${p.timeoutMs} ms`, JSON.stringify(p.options)]),
    ),
    ...(config.tunnels.length === 0 ? [] : ['', ...tunnelTable(config.tunnels)]),
  ];
  terminal.out(`${lines.join('\n')}\n`);
  return 0;
};

const tunnelTable = (tunnels: readonly WatchedTunnel[]): string[] => {
  const objects = (parts: WatchedTunnel['payload']): string => parts.flatMap((part) => part.objects).join(',') || '-';
  return table(
    ['tunnel', 'rule', 'method', 'poller', 'payload', 'underlay'],
    tunnels.map((t) => [t.tunnel, JSON.stringify(t.rule), t.method, t.poller, objects(t.payload), objects(t.underlay)]),
  );
};

/** Where the unit that is shipped lets the agent write it. */
const USUAL_STATUS = '/run/tollgate-agent/status.json';

/** 0: it runs. 1: it does not, or nobody can tell. */
export const status = ({ config, json, terminal }: Command): number => {
  const path = config.values['status.file'] || USUAL_STATUS;
  let text: string;
  try {
    text = realDisk.read(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    terminal.err(`tollgate-agent: no agent has left its status here: ${why}\n`);
    return 1;
  }
  const found = parseStatus(text);
  if (found === null) {
    terminal.err(`tollgate-agent: ${path} is no status of an agent\n`);
    return 1;
  }
  const now = realClock.now();
  const running = now - found.at <= STALE_MS;
  terminal.out(json ? `${JSON.stringify({ running, ...found }, null, 2)}\n` : statusPage(found, now));
  return running ? 0 : 1;
};
