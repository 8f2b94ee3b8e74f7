/** Tries to lock each folder it is told, and says whether it has it. */
import { lockFolder } from '../lock.ts';

process.on('message', (folder: string) => {
  void lockFolder(folder).then(
    () => process.send?.(true),
    () => process.send?.(false),
  );
});
process.send?.('ready');
