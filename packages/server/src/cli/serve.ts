/** tollgate serve: the server, in this process, until it is told to stop. */
import { type Command, Option } from 'commander';
import { type Setting, type SettingName, settingNames, settings } from '../config.ts';
import { configOf } from './connect.ts';
import type { Io } from './io.ts';

/** Settings that every command knows; the others are flags of serve. */
export const common: ReadonlySet<SettingName> = new Set(['dataDir', 'configFile', 'url', 'key']);

export const optionOf = (name: SettingName): Option => {
  const s: Setting<unknown> = settings[name];
  const value = s.kind === 'switch' ? '[true|false]' : s.kind === 'whole' ? `<${s.unit || 'n'}>` : '<text>';
  const fallback = s.fallback === '' ? '' : ` (default: ${String(s.fallback)})`;
  return new Option(`${s.flag} ${value}`, `${s.about}${fallback}`);
};

export const serveCommand = (program: Command, io: Io, end: (code: number) => void): void => {
  const command = program.command('serve').description('run the server until Ctrl-C');
  const byOption = new Map<string, SettingName>();
  for (const name of settingNames) {
    if (common.has(name)) continue;
    const option = optionOf(name);
    byOption.set(option.attributeName(), name);
    command.addOption(option);
  }
  command.action(async (options: Record<string, unknown>) => {
    for (const [attribute, name] of byOption) if (options[attribute] !== undefined) io.flags[name] = options[attribute];
    // Loaded only here: the other commands start without the engines.
    const { serve } = await import('../serve.ts');
    end(await serve(configOf(io)));
  });
};
