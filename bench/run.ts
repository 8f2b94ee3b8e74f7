/** `npm run bench -- NAME [--json] [--key value ...]`: runs bench/NAME.ts and prints its figures. */
import { isBench, optionsOf, say } from './common.ts';

const [name, ...rest] = process.argv.slice(2);
if (name === undefined || !/^[a-z]+$/.test(name)) {
  say('usage: npm run bench -- ingest|job|query|agent|decide|rls|shared|invoice [--json] [--key value ...]');
  process.exit(2);
}
const options = optionsOf(rest);
const bench: unknown = await import(`./${name}.js`);
if (!isBench(bench)) {
  say(`bench/${name}.ts exports no run`);
  process.exit(2);
}
const result = await bench.run(options);
if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
else {
  process.stdout.write(`${result.bench}\n`);
  for (const part of ['settings', 'metrics'] as const) {
    process.stdout.write(`  ${part}\n`);
    for (const [key, value] of Object.entries(result[part])) {
      process.stdout.write(`    ${key.padEnd(26)} ${typeof value === 'object' ? JSON.stringify(value) : value}\n`);
    }
  }
}
// Engines keep threads of their own; everything worth waiting for has been closed.
process.exit(0);
