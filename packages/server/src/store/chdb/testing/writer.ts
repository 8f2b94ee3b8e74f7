/** A process to be killed: commits one fact of each kind after another and says which receipt is on disk. */

import { DAY, declarationAt, eventAt, readingAt, write } from '../../contract/usage-cases.ts';
import { StoreError } from '../../errors.ts';
import { openChdb } from '../usage-chdb.ts';

const [directory = '', first = '1'] = process.argv.slice(2);

try {
  const store = await openChdb({ directory });
  for (let receipt = Number(first); ; receipt++) {
    await write(store, {
      events: [eventAt(receipt, { t: DAY + receipt })],
      readings: [readingAt(1, receipt, { t: DAY + receipt, value: BigInt(receipt) })],
      declarations: [declarationAt(receipt)],
    });
    process.send?.(receipt);
  }
} catch (error) {
  process.send?.(error instanceof StoreError ? error.code : String(error), () => process.exit(1));
}
