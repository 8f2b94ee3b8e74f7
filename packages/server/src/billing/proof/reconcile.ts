/**
 * The whole chain, account by account: usage as of S, lines, documents, ledger, payments. By the hour only accounts that
 * something happened to since the last pass are looked at, and those that did not agree; by hand, all of them.
 */
import type { Receipt } from '../../domain/fact.ts';
import type { Instant } from '../../domain/window.ts';
import { Pass, type PassDeps, type PassResult } from './pass.ts';

export interface ReconcileDeps extends PassDeps {
  now(): Instant;
  /** What the last pass found, over restarts. */
  kept: { read(): Promise<string | null>; write(text: string): Promise<void> };
}

export interface Reconciliation extends PassResult {
  at: Instant;
  /** Accounts looked at in this pass, and documents computed again. */
  accounts: number;
  documents: number;
  /** All accounts, or only what has changed since the last pass. */
  whole: boolean;
  /** Newest document and transaction that were looked at. */
  through: { document: number; transaction: number };
}

const ACCOUNTS_A_BATCH = 100;
const DOCUMENTS_A_BATCH = 100;
const PAGE = 10_000;
const STOPS = 'The server stops. What was looked at is looked at again.';

export class Reconciler {
  private readonly deps: ReconcileDeps;
  progress = { done: 0, of: 0 };
  private kept: Reconciliation | null = null;
  private isStopped = false;
  private running: { whole: boolean; done: Promise<Reconciliation> } | null = null;

  constructor(deps: ReconcileDeps) {
    this.deps = deps;
  }

  /** What the last pass found, of this process or one before it; null: there was none. */
  async last(): Promise<Reconciliation | null> {
    if (this.kept === null) {
      const text = await this.deps.kept.read();
      this.kept ??= text === null ? null : readKept(text);
    }
    return this.kept;
  }

  /** One at a time: who asks meanwhile gets what is under way, unless that is less than what is asked for. */
  async pass(whole: boolean): Promise<Reconciliation> {
    while (this.running !== null && whole && !this.running.whole) await this.running.done.catch(() => undefined);
    if (this.running === null) {
      const done = this.run(whole).finally(() => {
        this.running = null;
      });
      this.running = { whole, done };
    }
    return this.running.done;
  }

  /** What is under way ends after its batch, with nothing said. */
  stop(): void {
    this.isStopped = true;
  }

  private async run(whole: boolean): Promise<Reconciliation> {
    const { billing, now, kept } = this.deps;
    const before = await this.last();
    // Of more findings than are kept, only a whole pass can say which are still there.
    const last = whole || before === null || before.found > before.findings.length ? null : before;
    const [newest] = await billing.invoices({ limit: 1 });
    const [posted] = await billing.transactions({ limit: 1 });
    const through = { document: newest?.id ?? 0, transaction: posted?.id ?? 0 };
    const doubted = new Set((last?.findings ?? []).map(({ document }) => document));
    const pass = new Pass(this.deps, through.document);
    const documents = await this.documentsSince(last, doubted);
    const accounts = await this.accountsSince(last);
    this.progress = { done: 0, of: documents.length + accounts.length };
    for (let at = 0; at < documents.length; at += DOCUMENTS_A_BATCH) {
      if (this.isStopped) throw new Error(STOPS);
      const some = documents.slice(at, at + DOCUMENTS_A_BATCH);
      await pass.again(some.map(({ id }) => id));
      this.progress.done += some.length;
    }
    for (let at = 0; at < accounts.length; at += ACCOUNTS_A_BATCH) {
      if (this.isStopped) throw new Error(STOPS);
      const some = accounts.slice(at, at + ACCOUNTS_A_BATCH);
      await pass.look(some);
      this.progress.done += some.length;
    }
    this.kept = {
      ...{ at: now(), accounts: accounts.length, documents: documents.length, whole: last === null, through },
      ...pass.result(),
    };
    await kept.write(keptText(this.kept));
    return this.kept;
  }

  /** Those that nobody has computed again yet, and those that did not agree; by frontier, so that its book is folded once. */
  private async documentsSince(
    last: Reconciliation | null,
    doubted: ReadonlySet<string>,
  ): Promise<{ id: number; frontier: Receipt }[]> {
    const through = last?.through.document ?? 0;
    const found: { id: number; frontier: Receipt }[] = [];
    for (let before: number | undefined; ; ) {
      const page = await this.deps.billing.invoices({ limit: PAGE, ...(before === undefined ? {} : { before }) });
      for (const { id, frontier, number } of page)
        if (id > through || doubted.has(number)) found.push({ id, frontier });
      before = page.at(-1)?.id;
      const isAll = before === undefined || page.length < PAGE || (before <= through && doubted.size === 0);
      if (isAll) return found.sort((a, b) => a.frontier - b.frontier || a.id - b.id);
    }
  }

  /** Whose documents or postings are new, and who did not agree. */
  private async accountsSince(last: Reconciliation | null): Promise<string[]> {
    const { billing } = this.deps;
    const accounts = new Set((last?.findings ?? []).map(({ account }) => account));
    const { document = 0, transaction = 0 } = last?.through ?? {};
    const read = async <R extends { id: number }>(
      page: (before: { before?: number; limit: number }) => Promise<R[]>,
      after: number,
      accountOf: (row: R) => string,
    ): Promise<void> => {
      for (let before: number | undefined; ; ) {
        const rows = await page({ limit: PAGE, ...(before === undefined ? {} : { before }) });
        for (const row of rows) if (row.id > after) accounts.add(accountOf(row));
        before = rows.at(-1)?.id;
        if (before === undefined || before <= after || rows.length < PAGE) return;
      }
    };
    await read(
      (page) => billing.invoices(page),
      document,
      (row) => row.account,
    );
    await read(
      (page) => billing.transactions(page),
      transaction,
      (row) => row.tenant,
    );
    return [...accounts].sort();
  }
}

/** Money as digits: JSON has no integers of that size. */
const keptText = (last: Reconciliation): string =>
  JSON.stringify(last, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));

const readKept = (text: string): Reconciliation =>
  JSON.parse(text, (_, value: unknown) =>
    typeof value === 'string' && /^-?\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  ) as Reconciliation;
