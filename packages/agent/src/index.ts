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
export { type AgentConfig, ConfigError, loadAgentConfig } from './host/config.ts';
export {
  dimensionsOf,
  encapsulationMeter,
  type LengthCount,
  type Reconciliation,
  reconcile,
  type Side,
  type TunnelInterval,
} from './host/encapsulation.ts';
export { asTexts, reportTable } from './host/encapsulation-report.ts';
export {
  type EspRule,
  type Layer,
  overheadOf,
  perPacket,
  type TunnelRule,
  wireBytes,
} from './host/encapsulation-rules.ts';
export {
  intervalOf,
  type Part,
  type Passes,
  type PolledPass,
  type Tunnel,
} from './host/encapsulation-sides.ts';
export { type Assignment, assign, type Mapping, type Rule } from './host/mapping.ts';
export { parseMapping } from './host/mapping-file.ts';
export type { HostObject } from './host/mapping-match.ts';
export type { SettingName, Settings } from './host/settings.ts';
export type { PollerConfig, PollerKind } from './host/settings-pollers.ts';
export { usageSettings } from './host/wiring-service.ts';
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
export type { Content } from './listen/content.ts';
export { fileTreeStore } from './listen/file-tree.ts';
export { type HttpMeter, type HttpMeterOptions, type HttpMeterReport, meterHttp } from './listen/http.ts';
export { meterS3, type S3MeterOptions } from './listen/s3.ts';
export type { S3Client, S3Commands, S3Place } from './listen/s3-commands.ts';
export { s3Store } from './listen/s3-store.ts';
export type { SampleOptions } from './listen/sampler.ts';
export { meterStore, type ObjectStore, type StoreMeter } from './listen/storage.ts';
export type { StoredObject, StoreMeterOptions, StoreMeterReport } from './listen/store-ledger.ts';
export type { TenantRule } from './listen/tenant.ts';
export type { TenantLimits, Unattributed } from './listen/tenants.ts';
export type { Timers } from './listen/timers.ts';
export {
  type Quantity,
  type UsageAbout,
  UsageError,
  type UsageFacade,
  type UsageOptions,
  usageOn,
} from './listen/usage.ts';
export { meterUsers, type UserMeter, type UserMeterOptions, type UserMeterReport } from './listen/users.ts';
export type { Measure, Recorder } from './measure/recorder.ts';
export * from './poll/index.ts';
export type { Published } from './publish/publisher.ts';
export type { PaceSettings } from './publish/settings.ts';
export { openUsage, type Usage, type UsageSettings, type UsageStatus } from './publish/usage.ts';
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
export type { SpoolSettings } from './spool/settings.ts';
export type { LostInterval } from './spool/snapshot.ts';
export { Spool } from './spool/spool.ts';
export { type HttpThrottle, type HttpThrottleOptions, type HttpThrottleReport, throttleHttp } from './throttle/http.ts';
export type { RefusalBody } from './throttle/refusal.ts';
