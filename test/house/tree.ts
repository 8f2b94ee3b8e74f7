/** The tree the rules are asked of. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { globSync } from '../harness/glob.ts';
import { parse, type Source } from './source.ts';

export const root = join(import.meta.dirname, '..', '..', '..');

export const read = (path: string): string => readFileSync(join(root, path), 'utf8');

export const sources = (): Source[] =>
  ['packages', 'test', 'bench']
    .flatMap((folder) => globSync(root, folder, /(?<!\.d)\.ts$/))
    .filter((path) => !/\/(dist|node_modules)\//.test(path))
    .map((path) => parse(path, read(path)));

/** What git tracks or would track; the whole tree where git is missing. */
export const tracked = (): string[] => {
  try {
    const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return listed
      .toString()
      .split('\0')
      .filter((path) => path !== '');
  } catch {
    return globSync(root, '', /./).filter((path) => !/(^|\/)(dist|build)\//.test(path));
  }
};
