/** Corrections are facts too, with author and reason: replay repeats them, and the job rewrites what they touch. */
import type { ControlFact, Replacement, VoidFact } from '../domain/control-fact.ts';
import type { Receipt, StoredEvent } from '../domain/fact.ts';
import { isCounter } from '../domain/meter.ts';
import type { Series } from '../domain/series.ts';
import type { Instant } from '../domain/window.ts';
import type { Author, ControlLog } from '../store/control-log.ts';
import type { ControlStore, SetAside } from '../store/control-store.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { UsageStore } from '../store/usage-store.ts';
import { UsageError } from './errors.ts';

export interface CorrectionDeps {
  usage: UsageStore;
  control: ControlStore;
  log: ControlLog;
  registry: SeriesRegistry;
}

export interface EventRef {
  tenant: string;
  source: string;
  id: string;
}

export class Corrections {
  private readonly deps: CorrectionDeps;

  constructor(deps: CorrectionDeps) {
    this.deps = deps;
  }

  /** The event counts no more. */
  async voidEvent(ref: EventRef, who: Author): Promise<ControlFact> {
    const event = await this.current(ref);
    const fed = this.countersFed(event);
    const facts = (fed.length === 0 ? [null] : fed).map((series) => this.voidOf(event, series, null));
    return this.one(await this.deps.log.append(facts, who));
  }

  /** One reading counts no more; its series goes on from its neighbours. */
  async voidReading(receipt: Receipt, who: Author): Promise<ControlFact> {
    const found = await this.deps.usage.findReceipt(receipt);
    if (found === null || !('reading' in found))
      throw new UsageError('fact.unknown', `no reading has receipt ${receipt}`);
    const { t, series } = found.reading;
    const fact = { kind: 'void' as const, target: receipt, at: t, series, eventType: null, replacement: null };
    return this.one(await this.deps.log.append([fact], who));
  }

  /** New content for an event. The fact carries it, so that old and new change places in one durable step. */
  async amendEvent(
    ref: EventRef,
    change: { t?: Instant; data?: string; subject?: string },
    who: Author,
  ): Promise<ControlFact> {
    const event = await this.current(ref);
    // It was taken as a reading, and a reading with another value would be another fact: void it and send the right one.
    if (this.feedsCounter(event.type))
      throw new UsageError('correction.counter', `event ${ref.id} feeds a counter: void it and send another`);
    const replacement: Replacement = {
      source: event.source,
      id: `${event.id}#amends-${event.receipt}`,
      type: event.type,
      subject: change.subject ?? event.subject,
      t: change.t ?? event.t,
      data: change.data ?? event.data,
    };
    const fact = this.one(
      await this.deps.log.append([this.voidOf(event, null, replacement)], { ...who, tenant: ref.tenant }),
    );
    await writeReplacement(this.deps.usage, fact);
    return fact;
  }

  async openSet(name: string, who: Author): Promise<ControlFact> {
    if (this.deps.log.book.set(name) !== undefined)
      throw new UsageError('set.exists', `the set ${name} exists already`);
    return this.one(await this.deps.log.append([{ kind: 'set', name, state: 'open', from: 0, to: 0 }], who));
  }

  /** All events of the set count no more. */
  async undoSet(name: string, who: Author): Promise<ControlFact> {
    const set = this.deps.log.book.set(name);
    if (set === undefined) throw new UsageError('set.unknown', `there is no set ${name}`);
    if (set.state === 'undone') throw new UsageError('set.undone', `the set ${name} was undone already`);
    const { from, to } = set;
    return this.one(await this.deps.log.append([{ kind: 'set', name, state: 'undone', from, to }], who));
  }

  /** Gives a resource an owner from an instant on; usage before it stays where it was. */
  async attribute(
    tenant: string,
    resource: string,
    account: string | null,
    from: Instant,
    who: Author,
  ): Promise<ControlFact> {
    if (account !== null && this.deps.log.book.account(account) === undefined) {
      throw new UsageError('account.unknown', `there is no account ${account}`);
    }
    return this.one(await this.deps.log.append([{ kind: 'owner', resource, account, from }], { ...who, tenant }));
  }

  /** Lets something set aside count after all, or decides that it never will. */
  async decide(id: number, action: 'release' | 'drop', who: Author): Promise<SetAside> {
    const item = await this.deps.control.setAsideById(id);
    if (item === null) throw new UsageError('quarantine.unknown', `there is no quarantine item ${id}`);
    if (item.state !== 'open') throw new UsageError('quarantine.decided', `item ${id} was ${item.state} already`);
    if (item.kind === 'event') await this.decideEvent(item, action, who);
    else {
      const { receipt: target, series, at } = item;
      await this.deps.log.append([{ kind: 'decision', action, target, series, at }], { ...who, tenant: item.tenant });
    }
    await this.deps.control.resolveSetAside(id, action === 'release' ? 'released' : 'dropped');
    return { ...item, state: action === 'release' ? 'released' : 'dropped' };
  }

  /** Recorded decision of an operator: what is pending of the series in [from, to) will never come. */
  async declareUnobserved(series: number, from: Instant, to: Instant, who: Author): Promise<ControlFact> {
    return this.one(await this.deps.log.append([{ kind: 'unobserved', series, source: null, from, to }], who));
  }

  /** A conflicting event is released by taking the place of the one that came first. */
  private async decideEvent(item: SetAside, action: 'release' | 'drop', who: Author): Promise<void> {
    if (action === 'drop') {
      const drop = { kind: 'decision' as const, action, target: item.receipt, series: null, at: item.at };
      await this.deps.log.append([drop], { ...who, tenant: item.tenant });
      return;
    }
    const held = JSON.parse(item.content) as { source: string; id: string; subject: string; t: Instant; data: string };
    await this.amendEvent({ tenant: item.tenant, source: held.source, id: held.id }, held, {
      ...who,
      tenant: item.tenant,
    });
  }

  private async current(ref: EventRef): Promise<StoredEvent> {
    const stored = await this.deps.usage.findEvent(ref.tenant, ref.source, ref.id);
    const event = stored.find((e) => !this.deps.log.book.isVoided(e.receipt));
    if (event === undefined)
      throw new UsageError('fact.unknown', `no event ${ref.id} of source ${ref.source} counts now`);
    return event;
  }

  private voidOf(event: StoredEvent, series: number | null, replacement: Replacement | null): VoidFact {
    const { receipt: target, t: at, type: eventType } = event;
    return { kind: 'void', target, at, series, eventType, replacement };
  }

  private feedsCounter(type: string): boolean {
    return [...this.deps.log.book.meters()].some((m) => isCounter(m) && m.eventType === type);
  }

  /** Counters the event may have fed: it is a reading of theirs too, and the job must find them. */
  private countersFed(event: StoredEvent): number[] {
    const { book } = this.deps.log;
    const feeds = (s: Series): boolean =>
      book.versions(s.meter).some((m) => isCounter(m) && m.eventType === event.type);
    const of = this.deps.registry.ofResource(event.tenant, event.subject);
    return of.filter((s) => s.source === event.source && feeds(s)).map((s) => s.id);
  }

  private one(facts: readonly ControlFact[]): ControlFact {
    const [fact] = facts;
    if (fact === undefined) throw new Error('an appended fact did not come back');
    return fact;
  }
}

/**
 * Stores an amendment's content as an event with the fact's own receipt number. Idempotent (the table's key), so the job
 * repeats it for facts it has not seen: a crash between the fact and the event loses nothing.
 */
export async function writeReplacement(usage: UsageStore, fact: ControlFact): Promise<void> {
  if (fact.body.kind !== 'void' || fact.body.replacement === null) return;
  const { receipt, tenant, recordedAt } = fact;
  const event: StoredEvent = {
    ...fact.body.replacement,
    tenant,
    sourceTime: fact.body.replacement.t,
    receivedAt: recordedAt,
    receipt,
    stamps: 0,
    set: '',
  };
  const writer = usage.writer();
  writer.event(event, { idHi: 0, idLo: receipt % 2 ** 32, contentHi: 0, contentLo: 0 });
  await writer.commit();
}
