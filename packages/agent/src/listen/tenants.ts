/**
 * The tenants a listener remembers something for. Names come from outside, so there is room for a limited number: a
 * client that sends a new one with every request fills it, and no memory beyond.
 */

export interface TenantLimits {
  /** Distinct tenants remembered at a time. What comes beyond is unattributed and counted. Default 10,000. */
  readonly maxTenants?: number;
  /**
   * Says whether a name is a tenant at all; others are unattributed. Give it wherever clients choose the name: otherwise
   * whoever fills the room with invented names makes real tenants unattributed. Asked for every name not remembered,
   * so it must be quick.
   */
  readonly allow?: (tenant: string) => boolean;
}

/** Why a request or object was left unattributed, as counts. Having no tenant at all is not counted here. */
export interface Unattributed {
  /** Longer than 128 bytes, or with control characters. */
  invalid: number;
  /** `allow` said no. */
  refused: number;
  /** No room. */
  overflow: number;
}

const MOST_TENANTS = 10_000;
const LONGEST_NAME = 128;
const PLAIN = /^[\x21-\x7e]{1,128}$/;
const CONTROL_OR_BROKEN = /[\p{Cc}\p{Cs}]/u;

/** A name of 1 to `longest` bytes of UTF-8 without control characters or halves of surrogate pairs. */
export const isName = (name: unknown, longest = LONGEST_NAME): name is string =>
  typeof name === 'string' &&
  (PLAIN.test(name) ||
    (name !== '' && name.length <= longest && Buffer.byteLength(name) <= longest && !CONTROL_OR_BROKEN.test(name)));

export class Tenants<T> {
  readonly unattributed: Unattributed = { invalid: 0, refused: 0, overflow: 0 };
  /** What is kept for '', the unattributed. */
  readonly nobody: T;
  readonly #make: (tenant: string) => T;
  readonly #max: number;
  readonly #allow: ((tenant: string) => boolean) | undefined;
  #young = new Map<string, T>();
  #old = new Map<string, T>();

  constructor(limits: TenantLimits, make: (tenant: string) => T) {
    const max = limits.maxTenants ?? MOST_TENANTS;
    if (!Number.isSafeInteger(max) || max < 1) throw new RangeError('maxTenants must be a whole number from 1');
    this.#max = max;
    this.#allow = limits.allow;
    this.#make = make;
    this.nobody = make('');
  }

  /** Never throws but what `allow` throws. */
  get(name: string | undefined): T {
    if (name === undefined || name === '') return this.nobody;
    return this.#young.get(name) ?? this.#promote(name) ?? this.#admit(name);
  }

  /** Forgets those not asked for since the last time this was called. */
  age(): void {
    this.#old = this.#young;
    this.#young = new Map();
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  *all(): IterableIterator<[string, T]> {
    yield ['', this.nobody];
    yield* this.#young;
    yield* this.#old;
  }

  #promote(name: string): T | undefined {
    const kept = this.#old.get(name);
    if (kept === undefined) return undefined;
    this.#old.delete(name);
    this.#young.set(name, kept);
    return kept;
  }

  #admit(name: string): T {
    if (!isName(name)) return this.#leave('invalid');
    if (this.#allow?.(name) === false) return this.#leave('refused');
    if (this.size >= this.#max) return this.#leave('overflow');
    // Copied: a name cut out of a URL or a header would keep all of it in memory.
    const own = Buffer.from(name).toString();
    const made = this.#make(own);
    this.#young.set(own, made);
    return made;
  }

  #leave(why: keyof Unattributed): T {
    this.unattributed[why] += 1;
    return this.nobody;
  }
}
