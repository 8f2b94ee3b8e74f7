/** Files of a tree, without what was installed. Node 20 has no glob of its own. */
import * as fs from 'node:fs';
import { join } from 'node:path';

const SKIPPED = new Set(['node_modules', '.git']);

/** Paths below `folder` that match, from `root`, sorted. A missing folder has none. */
export const globSync = (root: string, folder: string, pattern: RegExp): string[] => {
  const found: string[] = [];
  const walk = (path: string): void => {
    for (const entry of fs.readdirSync(join(root, path), { withFileTypes: true })) {
      if (SKIPPED.has(entry.name)) continue;
      const inner = path === '' ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) walk(inner);
      else if (pattern.test(inner)) found.push(inner);
    }
  };
  if (existsSync(root, folder)) walk(folder);
  return found.sort();
};

export const existsSync = (root: string, path: string): boolean => fs.existsSync(join(root, path));
