/** A host that answers what it is told to: programs, files and clock as tables. */
import type { Clock, Disk } from '../../environment.ts';
import type { Commands } from '../commands.ts';
import type { Counted, PollPass } from '../poller.ts';
import type { Scrape, ScrapeAnswer } from '../scrape.ts';

type Answer = string | Error | ((line: string) => Promise<string>);

export class TestHost {
  now = 1_700_000_000_000;
  boot = 'boot-1';
  uptime = 1000;
  inode = 4026;
  /** What programs print, by their command line; a prefix will do. */
  readonly prints = new Map<string, Answer>();
  /** Command lines as they were run. */
  readonly ran: string[] = [];
  page: ScrapeAnswer | Error = { status: 200, contentType: 'text/plain; version=0.0.4', body: '' };

  readonly clock: Clock = {
    now: () => this.now,
    elapsed: () => this.now,
    sleep: () => Promise.resolve(),
  };
  readonly disk: Disk = {
    read: (path) => {
      if (path === '/proc/sys/kernel/random/boot_id') return `${this.boot}\n`;
      if (path === '/proc/uptime') return `${this.uptime}.25 1.00\n`;
      throw new Error(`no file ${path}`);
    },
    list: () => [],
    inode: () => this.inode,
    replace: () => undefined,
  };
  readonly commands: Commands = {
    run: async (file, args) => {
      const line = [file, ...args].join(' ');
      this.ran.push(line);
      const prefix = [...this.prints.keys()]
        .filter((key) => line.startsWith(key))
        .sort((a, b) => b.length - a.length)[0];
      const answer = prefix === undefined ? new Error(`no such program: ${line}`) : this.prints.get(prefix);
      if (answer instanceof Error) throw answer;
      return typeof answer === 'function' ? answer(line) : (answer ?? '');
    },
  };
  readonly scrape: Scrape = {
    get: async () => {
      if (this.page instanceof Error) throw this.page;
      return this.page;
    },
  };
}

/** `object meter` -> value, in short. */
export const values = (pass: PollPass): Record<string, bigint> =>
  Object.fromEntries(pass.counted.map(({ object, meter, value }) => [`${object} ${meter}`, value]));

export const find = (pass: PollPass, object: string, meter: string): Counted => {
  const found = pass.counted.find((one) => one.object === object && one.meter === meter);
  if (found === undefined)
    throw new Error(`${object} ${meter} is not among ${pass.counted.map((c) => `${c.object} ${c.meter}`).join('; ')}`);
  return found;
};

export const codes = (pass: PollPass): string[] => (pass.troubles ?? []).map(({ code, object }) => `${code} ${object}`);
