/** How many users each tenant has, as a level: moved when one is added or removed, set right by counting again. */
import type { Recorder } from '../measure/recorder.ts';
import { Level } from './levels.ts';
import { type SampleOptions, Sampler } from './sampler.ts';
import { type TenantLimits, Tenants, type Unattributed } from './tenants.ts';

export interface UserMeterOptions extends TenantLimits, SampleOptions {
  readonly recorder: Recorder;
  /** Users of one tenant, now. */
  readonly count: (tenant: string) => Promise<number>;
  /** All tenants there are. */
  readonly tenants: () => Promise<Iterable<string>>;
  /** Default `users`. */
  readonly meter?: string;
  readonly dimensions?: Readonly<Record<string, string>>;
}

export interface UserMeterReport {
  /** Counts that failed or were no whole number, and users added to what is no tenant. */
  readonly errors: number;
  readonly failedSamples: number;
  readonly unattributed: Readonly<Unattributed>;
}

export interface UserMeter {
  /** Call it after the user is stored, or taken away. `users` is 1 unless given. Never throws. */
  added(tenant: string, users?: number): void;
  removed(tenant: string, users?: number): void;
  /** Counts the users of every tenant. Never rejects. */
  sample(): Promise<void>;
  /** No more samples. */
  close(): void;
  report(): UserMeterReport;
}

/** Until the first count of a tenant its level is unknown, and not published. Counts that fail leave it as it was. */
export const meterUsers = (options: UserMeterOptions): UserMeter => {
  const { recorder, dimensions, meter = 'users' } = options;
  let errors = 0;
  const tenants = new Tenants(
    options,
    (subject) => new Level(recorder, { meter, subject, ...(dimensions && { dimensions }) }),
  );

  /** One tenant's failure is its own. */
  const sampleOne = async (tenant: string): Promise<boolean> => {
    try {
      const level = tenants.get(tenant);
      // The users of those without room are counted together nowhere: a level of nobody would say nothing.
      if (level === tenants.nobody) return true;
      const mark = level.mark();
      const users = await options.count(tenant);
      if (!Number.isSafeInteger(users) || users < 0) throw new RangeError('a number of users is a whole number from 0');
      return level.settle(users, mark);
    } catch {
      errors += 1;
      return false;
    }
  };
  const sampler = new Sampler(options, async () => {
    const names = new Set(await options.tenants());
    // Those who were there and are no more: their count says 0, or fails and stays.
    for (const [name] of tenants.all()) if (name !== '') names.add(name);
    let isSettled = true;
    for (const name of names) if (!(await sampleOne(name))) isSettled = false;
    return isSettled;
  });

  const move = (tenant: string, users: number): void => {
    try {
      const level = tenants.get(tenant);
      if (level === tenants.nobody || !Number.isSafeInteger(users)) {
        errors += 1;
        return;
      }
      level.begin();
      if (!level.end(users) || level.value === undefined) sampler.soon();
    } catch {
      errors += 1;
    }
  };
  return {
    added: (tenant, users = 1) => move(tenant, users),
    removed: (tenant, users = 1) => move(tenant, -users),
    sample: () => sampler.now(),
    close: () => sampler.close(),
    report: () => ({ errors, failedSamples: sampler.failed, unattributed: { ...tenants.unattributed } }),
  };
};
