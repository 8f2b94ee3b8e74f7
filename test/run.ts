/**
 * Runs the suite: every compiled test file in a process of its own, two at a time. `npm test -- NAME` runs one area or
 * the files whose path contains NAME. CI=true selects the long forms, and a skip for want of a server is then a failure.
 * The last line is always `N passed, N failed, N skipped`, counting leaf tests; exit code 1 when anything failed.
 */
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { overBudget } from './harness/areas.ts';
import { plan } from './harness/plan.ts';
import { type FileResult, runFile } from './harness/runner.ts';
import { namesMissingServer } from './harness/tally.ts';

const WORKERS = 2;
const root = join(import.meta.dirname, '..', '..');
const long = process.env.CI === 'true';
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const tell = (result: FileResult): void => {
  const bad = result.failures.length > 0;
  const skipped = result.skips.length > 0 ? `, ${result.skips.length} skipped` : '';
  const failed = bad ? `, ${result.failures.length} FAILED` : '';
  say(
    `${bad ? 'FAIL' : 'ok  '} ${result.source}  ${result.passed} passed${failed}${skipped}  ${result.seconds.toFixed(1)} s`,
  );
  for (const { name, detail } of result.failures) say(`\n  not ok: ${name}\n${detail.replace(/^/gm, '    ')}\n`);
  if (bad && result.output.trim() !== '') say(`  it wrote:\n${result.output.trimEnd().replace(/^/gm, '    | ')}\n`);
};

/**
 * We keep about two processes a core busy ourselves; what is above that are others, and a budget in seconds says little
 * then. 1 on a machine of our own.
 */
const patience = (): number => Math.max(1, (loadavg()[0] ?? 0) / (2 * cpus().length));

const runAll = async (filter: string | undefined, signal: AbortSignal): Promise<boolean> => {
  const { files, homeless } = plan(root, filter);
  const queue = [...files];
  const results: FileResult[] = [];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next && !signal.aborted; next = queue.shift()) {
      const seconds = (long ? next.area.long : next.area.short) * patience();
      const result = await runFile(root, next, seconds, signal);
      results.push(result);
      tell(result);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));

  const skips = results.flatMap((r) => r.skips.map((s) => ({ ...s, source: r.source })));
  for (const { source, name, reason } of skips) say(`skipped: ${source}: ${name}: ${reason}`);
  const seconds = new Map<string, number>();
  for (const { area, source } of files) {
    const took = results.find((r) => r.source === source)?.seconds ?? 0;
    seconds.set(area.name, (seconds.get(area.name) ?? 0) + took);
  }
  const complaints = [
    ...homeless.map((source) => `${source} belongs to no area of test/harness/areas.ts`),
    ...overBudget(seconds, long, patience()),
    ...(files.length === 0 ? [`no test file matches ${filter ?? 'anything: build first'}`] : []),
    ...queue.map((left) => `${left.source} was not run`),
    ...(long ? skips.filter((s) => namesMissingServer(s.reason)) : []).map(
      (s) => `${s.source}: ${s.name}: ${s.reason}`,
    ),
  ];
  for (const complaint of complaints) say(`FAIL ${complaint}`);
  const passed = results.reduce((sum, r) => sum + r.passed, 0);
  const failed = results.reduce((sum, r) => sum + r.failures.length, 0) + complaints.length;
  say(`${passed} passed, ${failed} failed, ${skips.length} skipped`);
  return failed === 0;
};

// Stack traces of the test processes name the TypeScript lines.
process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --enable-source-maps`.trim();
const interrupt = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => interrupt.abort());
const ok = await runAll(process.argv[2], interrupt.signal);
process.exitCode = ok ? 0 : 1;
