/**
 * The one allocator of receipt numbers in a process. Blocks are leased from the control store for good, so a crash loses
 * the rest of a block and nothing else; inside a block a number costs no round trip.
 */
import type { Receipt } from '../domain/fact.ts';
import type { ControlStore } from './control-store.ts';
import { StoreError } from './errors.ts';

export interface Taken {
  /** The first of `n` consecutive numbers. */
  first: Receipt;
  /** Call once the facts are durable, or their write has finally failed. Calling again does nothing. */
  done(): void;
}

export interface ReceiptSettings {
  /** Numbers leased at a time. */
  block?: number;
}

interface Block {
  next: Receipt;
  /** One past the last. */
  end: Receipt;
}

interface Open {
  first: Receipt;
  done: boolean;
}

const BLOCK = 1_000_000;

export class Receipts {
  private readonly control: Pick<ControlStore, 'leaseReceipts'>;
  private readonly size: number;
  private block: Block;
  private spare: Block | null = null;
  private leasing: Promise<void> | null = null;
  /** Numbers taken and not done, ascending; those before `head` are settled. */
  private open: Open[] = [];
  private head = 0;

  private constructor(control: Pick<ControlStore, 'leaseReceipts'>, size: number, block: Block) {
    this.control = control;
    this.size = size;
    this.block = block;
  }

  static async open(control: Pick<ControlStore, 'leaseReceipts'>, settings: ReceiptSettings = {}): Promise<Receipts> {
    const size = settings.block ?? BLOCK;
    const first = await control.leaseReceipts(size);
    return new Receipts(control, size, { next: first, end: first + size });
  }

  /** `n` consecutive numbers at once, or undefined when a new block must be waited for: then use `take`. */
  takeNow(n: number): Taken | undefined {
    if (!Number.isSafeInteger(n) || n < 1)
      throw new StoreError('store.misuse', `${n} is no number of receipts to take.`);
    if (this.block.end - this.block.next < n) {
      if (this.spare === null || this.spare.end - this.spare.next < n) return undefined;
      // The rest of the block is given up: the numbers of one call are consecutive, and no later call may get lower ones.
      this.block = this.spare;
      this.spare = null;
    }
    const first = this.block.next;
    this.block.next += n;
    if (this.spare === null && (this.block.end - this.block.next) * 2 < this.size) this.leaseEarly();
    const entry: Open = { first, done: false };
    this.open.push(entry);
    return {
      first,
      done: () => {
        entry.done = true;
        this.settle();
      },
    };
  }

  /** As takeNow, waiting for a block when need be. Rejects with the control store's error. */
  async take(n: number): Promise<Taken> {
    for (;;) {
      const taken = this.takeNow(n);
      if (taken !== undefined) return taken;
      await this.lease(n);
    }
  }

  /** Every number up to this one is settled: its fact is durable, or it will never have one. Never goes back. */
  frontier(): Receipt {
    return (this.open[this.head]?.first ?? this.block.next) - 1;
  }

  /** Numbers taken and not settled yet, counted by call. */
  get pending(): number {
    return this.open.length - this.head;
  }

  private settle(): void {
    while (this.open[this.head]?.done === true) this.head++;
    // Cutting the settled front off at every call would move the rest each time.
    if (this.head > 1024 && this.head * 2 > this.open.length) {
      this.open = this.open.slice(this.head);
      this.head = 0;
    }
  }

  private leaseEarly(): void {
    // A failure here is nobody's yet: whoever runs out asks again and gets the error.
    this.lease(1).catch(() => undefined);
  }

  private lease(n: number): Promise<void> {
    this.leasing ??= this.leaseBlock(Math.max(n, this.size)).finally(() => {
      this.leasing = null;
    });
    return this.leasing;
  }

  private async leaseBlock(size: number): Promise<void> {
    const first = await this.control.leaseReceipts(size);
    this.spare = { next: first, end: first + size };
  }
}
