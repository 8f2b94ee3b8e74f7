/**
 * npm run simulate -- --seed N --runs M [--engine model|real] [--hours H] [--bills]
 *
 * Plays M seeds from N on and prints a line for each; the first broken law ends it with the seed that shows it. The real
 * engines play one seed a process. `--bills`: days that end in invoices and ledger.
 */
import { parseArgs } from 'node:util';
import { playBills } from './bills.ts';
import { makeDisk, removeDisk } from './machine.ts';
import { play } from './play.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '1' },
    engine: { type: 'string', default: 'model' },
    hours: { type: 'string' },
    bills: { type: 'boolean', default: false },
  },
});
const first = Number(values.seed);
const runs = values.engine === 'real' ? 1 : Number(values.runs);
const hours = values.hours === undefined ? undefined : Number(values.hours);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const onModel = async (seed: number): Promise<void> => {
  const disk = makeDisk();
  try {
    const played = values.bills ? await playBills(seed, disk) : await play(seed, disk, { hours });
    say(`seed ${seed}: ${JSON.stringify(played)}`);
  } finally {
    removeDisk(disk);
  }
};

const onEngines = async (seed: number): Promise<void> => {
  const { openRealDisk } = await import('./engines.ts');
  const disk = await openRealDisk();
  try {
    say(`seed ${seed} on the real engines: ${JSON.stringify(await play(seed, disk, { hours, attach: disk.attach }))}`);
  } finally {
    await disk.close();
  }
};

for (let seed = first; seed < first + runs; seed++) {
  try {
    await (values.engine === 'real' ? onEngines(seed) : onModel(seed));
  } catch (error) {
    say(`seed ${seed} broke a law:`);
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exitCode = 1;
    break;
  }
}
// What a simulated crash left waiting is never answered: nothing of it may keep the process.
process.exit();
