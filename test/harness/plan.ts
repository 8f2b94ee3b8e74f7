/** Finds the test files: what was compiled from a source that still exists, in the order that keeps two workers busy. */

import { type Area, areaOf } from './areas.ts';
import { existsSync, globSync } from './glob.ts';

export interface TestFile {
  /** Path of the compiled file, from the root. */
  readonly file: string;
  /** Path of its TypeScript source, from the root. */
  readonly source: string;
  readonly area: Area;
}

export interface Plan {
  readonly files: readonly TestFile[];
  /** Sources that belong to no area: a hole in the budgets, so a failure. */
  readonly homeless: readonly string[];
}

export const sourceOf = (file: string): string =>
  file
    .replace(/^build\//, '')
    .replace(/^(packages\/[^/]+)\/dist\//, '$1/src/')
    .replace(/\.js$/, '.ts');

/** `filter` is an area's name or a part of a source path; undefined: everything. */
export const plan = (root: string, filter?: string): Plan => {
  const sources = ['packages', 'build/test', 'build/bench']
    .flatMap((folder) => globSync(root, folder, /\.test\.js$/))
    .map((file) => ({ file, source: sourceOf(file) }))
    .filter(({ source }) => existsSync(root, source));
  const homeless = sources.filter(({ source }) => areaOf(source) === undefined).map(({ source }) => source);
  const files = sources.flatMap(({ file, source }) => {
    const area = areaOf(source);
    return area && (filter === undefined || area.name === filter || source.includes(filter))
      ? [{ file, source, area }]
      : [];
  });
  files.sort((a, b) => b.area.long - a.area.long || (a.source < b.source ? -1 : 1));
  return { files, homeless };
};
