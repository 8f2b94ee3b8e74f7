/** docs/reference/agent.md: every setting and every option of every poller and tunnel, made from the tables. */
import { settingNames, settingOf, variableOf } from './settings.ts';
import { commonOptions, kindNames, optionsOf, pollerKinds } from './settings-pollers.ts';
import { tunnelOptions } from './settings-tunnels.ts';
import { boundsOf, type Setting, showValue } from './settings-values.ts';

const code = (text: string): string => (text === '' ? '' : `\`${text}\``);

const fallbackOf = (setting: Setting): string => {
  const { fallback } = setting;
  const isEmpty = fallback === '' || (typeof fallback === 'object' && Object.keys(fallback).length === 0);
  return isEmpty ? '' : code(showValue(setting, fallback));
};

const cell = (text: string): string => text.replaceAll('|', '\\|');

const optionRows = (options: Readonly<Record<string, Setting>>, prefix = ''): string[] =>
  Object.entries(options).flatMap(([name, setting]) => {
    // Zero stands for "as all pollers" where the bounds begin above it.
    const fallback = setting.fallback === 0 && setting.min > 0 ? '' : fallbackOf(setting);
    const row = `| ${code(prefix + name)} | ${fallback} | ${cell(boundsOf(setting))} | ${cell(setting.about)} |`;
    return [row, ...optionRows(setting.columns ?? {}, `${prefix}${name}[].`)];
  });

const optionTable = (options: Readonly<Record<string, Setting>>): string[] => [
  '| option | default | wants | meaning |',
  '|---|---|---|---|',
  ...optionRows(options),
];

export const agentPage = (): string => {
  const settings = settingNames.map((name) => {
    const s = settingOf(name);
    const variables = [variableOf(name), s.olderEnv].filter((v) => v !== '').map(code);
    const file = s.secret ? '' : code(name);
    const flag = s.flag === '' ? '' : code(`--${s.flag}`);
    return `| ${file} | ${variables.join(', ')} | ${flag} | ${fallbackOf(s)} | ${cell(boundsOf(s))} | ${cell(s.about)} |`;
  });
  return [
    '# Settings of the agent',
    '',
    'Made from the tables in `packages/agent/src/host/`; do not edit. Weight grows from file (`--config`,',
    '`TOLLGATE_AGENT_CONFIG`, else `/etc/tollgate/tollgate-agent.yaml` when it exists) over environment to flag. Without a file',
    'these defaults hold. A refused value stops the start and is named with its bounds, its line and its column. In the file,',
    '`spool.maxBytes` is `maxBytes:` below `spool:`. `tollgate-agent config` shows what holds and where it came from.',
    '',
    '| in the file | environment | flag | default | wants | meaning |',
    '|---|---|---|---|---|---|',
    ...settings,
    '',
    '## Pollers',
    '',
    '`pollers:` is a list, each with a `kind`. Without it the interfaces of this machine are polled. Every poller has:',
    '',
    ...optionTable(commonOptions),
    '',
    ...kindNames.flatMap((kind) => [
      `### ${kind}`,
      '',
      `${pollerKinds[kind].about}.`,
      '',
      ...(Object.keys(optionsOf(kind)).length > 0 ? [...optionTable(optionsOf(kind)), ''] : []),
    ]),
    '## Tunnels',
    '',
    '`tunnels:` is a list of tunnels whose overhead is counted, on `network.encapsulation.bytes`. Every tunnel has:',
    '',
    ...optionTable(tunnelOptions),
    '',
  ].join('\n');
};
