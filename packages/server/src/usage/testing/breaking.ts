/** Stores that fail at the n-th call from now: before its effect, or after it. */
import type { ControlStore } from '../../store/control-store.ts';
import { StoreError } from '../../store/errors.ts';
import type { FactWriter, UsageStore } from '../../store/usage-store.ts';

export class Breaking {
  private left = Number.POSITIVE_INFINITY;
  private after = false;
  /** Calls made while armed. */
  calls = 0;

  arm(call: number, after: boolean): void {
    this.left = call;
    this.after = after;
    this.calls = 0;
  }
  disarm(): void {
    this.left = Number.POSITIVE_INFINITY;
  }

  usage(store: UsageStore): UsageStore {
    const writer = (): FactWriter => {
      const own = store.writer();
      return new Proxy(own, {
        get: (target, name) => (name === 'commit' ? this.broken(target, name) : this.member(target, name)),
      });
    };
    return new Proxy(store, {
      get: (target, name) =>
        name === 'writer' ? writer : name === 'events' ? this.member(target, name) : this.broken(target, name),
    });
  }

  control(store: ControlStore): ControlStore {
    return new Proxy(store, { get: (target, name) => this.broken(target, name) });
  }

  private member(target: object, name: string | symbol): unknown {
    const value: unknown = Reflect.get(target, name);
    return typeof value === 'function' ? value.bind(target) : value;
  }

  private broken(target: object, name: string | symbol): unknown {
    const value: unknown = Reflect.get(target, name);
    if (typeof value !== 'function') return value;
    return async (...args: unknown[]) => {
      this.calls++;
      const now = --this.left === 0;
      if (now && !this.after) throw new StoreError('store.failed', 'Broken before it was done.');
      const result: unknown = await value.apply(target, args);
      if (now) throw new StoreError('store.failed', 'Broken after it was done.');
      return result;
    };
  }
}
