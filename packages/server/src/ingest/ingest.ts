/**
 * Facts in. `acceptEvents` and `acceptReadings` resolve when what they accepted is on disk, and reject with a Problem
 * when the request fails as a whole: then nothing of it was acknowledged, and it can be sent again unchanged.
 */
import { type BatchOutcome, limits as protocol, type ResourceHint } from '@tollgate/event';
import type { CommitListener } from '../domain/committed.ts';
import type { Clock } from '../domain/environment.ts';
import { SKEW_LIMIT_MS } from '../domain/stamp.ts';
import { Problem } from '../errors.ts';
import type { ControlStore } from '../store/control-store.ts';
import { StoreError } from '../store/errors.ts';
import type { Receipts } from '../store/receipts.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { UsageStore } from '../store/usage-store.ts';
import { type AcceptContext, EventIntake } from './accept-events.ts';
import { acceptReadings, type ReadingsContext, type ReadingsIntake } from './accept-readings.ts';
import type { Mode } from './cloudevents.ts';
import { Committer, unavailable } from './commit.ts';
import { IdentityIndex, type IdentityWindow, identityDefaults, type Log } from './identity/identity-index.ts';
import { Marks } from './marks.ts';
import type { BookView } from './metering.ts';
import { SeriesDesk } from './series-desk.ts';
import { Stamper } from './stamper.ts';

export interface IngestLimits {
  bodyBytes: number;
  itemsPerRequest: number;
  attributeBytes: number;
  dataBytes: number;
  depth: number;
  futureMs: number;
  /** A source's clock may be off by this much before its times are corrected, ms. */
  skewMs: number;
  /** Facts, and bytes of the bodies they came in, that may wait for the disk: beyond it requests are refused as busy. */
  queueEvents: number;
  queueBytes: number;
  /** Facts of one group commit; a group that has them takes no more. */
  groupEvents: number;
  /** Identity window in ms, ids kept at most, slots of a table as a power of two. */
  windowMs: number;
  maxIds: number;
  tableBits: number;
}

export const ingestLimits: IngestLimits = {
  bodyBytes: protocol.bodyBytes,
  itemsPerRequest: protocol.itemsPerRequest,
  attributeBytes: protocol.attributeBytes,
  dataBytes: protocol.dataBytes,
  depth: protocol.depth,
  futureMs: protocol.futureMs,
  skewMs: SKEW_LIMIT_MS,
  queueEvents: 200_000,
  queueBytes: 256 * 1024 * 1024,
  groupEvents: 50_000,
  windowMs: identityDefaults.windowMs,
  maxIds: identityDefaults.maxIds,
  tableBits: identityDefaults.tableBits,
};

export interface IngestDeps {
  usage: UsageStore;
  control: Pick<ControlStore, 'addSetAside'>;
  receipts: Pick<Receipts, 'take' | 'takeNow' | 'frontier'>;
  registry: Pick<SeriesRegistry, 'findText' | 'register' | 'knowsEpoch' | 'registerEpochs' | 'witnessed'>;
  clock: Clock;
  book: () => BookView;
  /** At least eight random bytes of the installation, always the same: identities are hashed with them. */
  secret: Uint8Array;
  /** Folder of the identity index, made if missing; nothing else may lie in it. */
  dir: string;
  log: Log;
  limits?: Partial<IngestLimits>;
  /** Told what batches say of resources, known or not: the place to record what is new of it. */
  declareResources?: (tenant: string, source: string, hints: readonly ResourceHint[]) => Promise<void>;
  /** Meters of which committed groups tell what their events are worth; asked again when the book has moved. */
  watched?: () => ReadonlySet<string>;
  /** Where tables are written out and merged; in place for tests that want one thread. */
  background?: 'worker' | 'in-place';
}

export interface IngestStats {
  requests: number;
  accepted: number;
  duplicates: number;
  conflicts: number;
  rejected: number;
  refused: number;
  groups: number;
  commitFailures: number;
  commitMs: number;
  longestCommitMs: number;
  queuedEvents: number;
  queuedBytes: number;
  recovering: boolean;
  runs: number;
  identity: IdentityWindow & { segments: number; frozen: number; working: boolean };
}

const NO_METERS: ReadonlySet<string> = new Set();

export class Ingest {
  private readonly intake: ReadingsIntake;
  private readonly eventIntake: EventIntake;
  private readonly counts = { requests: 0, accepted: 0, duplicates: 0, conflicts: 0, rejected: 0, refused: 0 };

  private constructor(intake: ReadingsIntake) {
    this.intake = intake;
    this.eventIntake = new EventIntake(intake);
  }

  /** Brings the identity index up to date with the event table first: minutes when tens of millions are made anew. */
  static async open(deps: IngestDeps): Promise<Ingest> {
    const limits = { ...ingestLimits, ...deps.limits };
    const { usage, clock, log } = deps;
    const { dir, secret } = deps;
    const { windowMs, maxIds, tableBits } = limits;
    const background = deps.background ?? 'worker';
    const settings = { dir, secret, windowMs, maxIds, tableBits, background };
    const index = await IdentityIndex.open(settings, usage, clock.now(), log);
    const stamper = await Stamper.open(usage, limits.skewMs);
    const marks = new Marks();
    marks.restore(await usage.acceptedNumbers());
    const restore: Stamper['restore'] = (before) => stamper.restore(before);
    const committer = new Committer({ usage, index, receipts: deps.receipts, clock, log, limits, restore });
    return new Ingest({
      usage,
      control: deps.control,
      receipts: deps.receipts,
      clock,
      book: deps.book,
      limits,
      skewMs: limits.skewMs,
      index,
      committer,
      stamper,
      marks,
      desk: new SeriesDesk(deps.registry),
      declareResources: deps.declareResources ?? (async () => {}),
      watched: deps.watched ?? (() => NO_METERS),
    });
  }

  /** The body is taken over: it may be changed while it is read. */
  acceptEvents(body: Buffer, mode: Mode, ctx: AcceptContext): Promise<BatchOutcome> {
    return this.counted(this.eventIntake.accept(body, mode, ctx));
  }

  acceptReadings(body: Buffer, ctx: ReadingsContext): Promise<BatchOutcome> {
    return this.counted(acceptReadings(this.intake, body, ctx));
  }

  /** Called with every committed group, in order, before its requests are answered. Returns how to stop. */
  onCommitted(listener: CommitListener): () => void {
    return this.intake.committer.listen(listener);
  }

  private async counted(answer: Promise<BatchOutcome>): Promise<BatchOutcome> {
    const { counts } = this;
    counts.requests++;
    try {
      const outcome = await answer;
      counts.accepted += outcome.accepted;
      counts.duplicates += outcome.duplicates;
      counts.conflicts += outcome.conflicts;
      counts.rejected += outcome.rejected;
      return outcome;
    } catch (error) {
      counts.refused++;
      if (error instanceof Problem || !(error instanceof StoreError)) throw error;
      throw unavailable(error.message);
    }
  }

  identityWindow(): IdentityWindow {
    return this.intake.index.window(this.intake.clock.now());
  }

  stats(): IngestStats {
    const { committer, index, marks } = this.intake;
    const { counts, queue } = committer;
    return {
      ...this.counts,
      groups: counts.groups,
      commitFailures: counts.failures,
      commitMs: counts.commitMs,
      longestCommitMs: counts.longestMs,
      queuedEvents: queue.events,
      queuedBytes: queue.bytes,
      recovering: queue.recovering,
      runs: marks.size,
      identity: { ...this.identityWindow(), ...index.shape() },
    };
  }

  /** Waits until the background work on identities has nothing more to do. */
  quiet(): Promise<void> {
    return this.intake.index.quiet();
  }

  /** Refuses what comes, answers what was taken, then lets go of the index. The stores stay open: they are not ours. */
  async close(): Promise<void> {
    await this.intake.committer.close();
    await this.intake.index.close();
  }
}
