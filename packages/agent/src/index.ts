export {
  Collector,
  type CollectorEvents,
  type CollectorSettings,
  networkMeters,
  portionOf,
  resourceOf,
  type SeenInterface,
  type World,
} from './collector.ts';
export type { Clock, Disk, HttpAnswer, Network, Randomness } from './environment.ts';
export {
  type Ended,
  type InterfaceCounters,
  LinuxInterfaces,
  type Memory,
  type Observed,
  type Pass,
  parseMemory,
  parseNetDev,
} from './linux.ts';
export {
  type Portion,
  Publisher,
  type PublisherSettings,
  publisherDefaults,
  type Report,
  type Sample,
} from './publisher.ts';
export { httpNetwork, realClock, realDisk, realRandomness } from './real.ts';
export { runAgent } from './run.ts';
