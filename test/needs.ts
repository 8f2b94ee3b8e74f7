/**
 * What a test of real parts needs of its machine. `needs(...)` is the value of a test's `skip` option: false when all is
 * there, otherwise a reason that starts with `needs`, which CI=true counts as a failure.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

export type Need = 'root' | 'linux' | 'netns' | 'strace' | 'tmpfs' | 'nft' | 'iptables' | 'node-exporter' | 'pdftotext';

/** Long forms run under CI=true only. */
export const isLong = process.env.CI === 'true';
/** Why a test is skipped in the short form. */
export const LONG_FORM = 'long form: runs with CI=true';

const quiet = (command: string, args: readonly string[]): boolean => {
  try {
    execFileSync(command, args, { stdio: 'ignore', timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
};

const isRoot = (): boolean => process.getuid?.() === 0;

const checks: Record<Need, () => boolean> = {
  linux: () => process.platform === 'linux',
  root: isRoot,
  // Asked by doing it: a container may have root and `ip` and still not the right to make a namespace.
  netns: () => isRoot() && quiet('unshare', ['--net', 'ip', 'link', 'set', 'lo', 'up']),
  nft: () => quiet('unshare', ['--net', 'nft', '-j', 'list', 'counters']),
  iptables: () =>
    isRoot() && quiet('unshare', ['--net', 'iptables-save', '-c']) && quiet('iptables-legacy', ['--version']),
  'node-exporter': () => quiet('prometheus-node-exporter', ['--version']),
  pdftotext: () => quiet('pdftotext', ['-v']),
  strace: () => quiet('strace', ['-f', '-o', '/dev/null', 'true']),
  tmpfs: () =>
    isRoot() &&
    existsSync('/proc/self/mounts') &&
    quiet('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']),
};

export const needs = (...what: readonly Need[]): false | string => {
  const missing = what.filter((need) => !checks[need]());
  return missing.length === 0 ? false : `needs ${missing.join(', ')}`;
};
