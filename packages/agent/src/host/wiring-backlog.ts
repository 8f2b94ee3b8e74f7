/** Where the daemon's readings wait: on disk if the settings name a folder. */
import { join } from 'node:path';
import { Backlog } from '../backlog/backlog.ts';
import type { Report } from '../publisher.ts';
import { realRandomness } from '../real.ts';
import { folderDisk } from '../spool/folder.ts';
import type { AgentConfig } from './config.ts';

/**
 * undefined: they wait in memory, because no folder is named or the disk cannot be used now. Rejects when another agent
 * has the folder: both would speak for one source. `mayShare`: a single pass may go beside it, without the disk.
 */
export const openBacklog = async (
  { values }: Pick<AgentConfig, 'values'>,
  report: (report: Report) => void,
  mayShare: boolean,
): Promise<Backlog | undefined> => {
  if (values['spool.folder'] === '') return undefined;
  const folder = join(values['spool.folder'], 'readings');
  const settings = {
    source: values.source,
    maxBytes: values['spool.maxBytes'],
    segmentBytes: values['spool.segmentBytes'],
    memoryMax: values['poll.bufferMax'],
  };
  try {
    return await Backlog.open({ disk: folderDisk(folder), random: realRandomness, report }, settings);
  } catch (error) {
    // Without a code it is not the disk that refused.
    const isDisk = error instanceof Error && 'code' in error;
    if (!isDisk && !mayShare) throw error;
    const why = error instanceof Error ? error.message : String(error);
    report({ level: isDisk ? 'error' : 'info', message: `readings wait in memory only: ${why}` });
    return undefined;
  }
};
