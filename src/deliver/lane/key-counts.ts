/** A count per key for millions of keys, in 12 to 34 bytes each: what is kept of a key is its hash. */

const FIELDS = 3;
const MIN_CAPACITY = 1024;
/** Above this share of used slots the table doubles, below the other it halves. */
const FULLEST = 0.7;
const EMPTIEST = 0.15;

/** The 64 bits as two unsigned halves. */
export type Hash = readonly [high: number, low: number];

/**
 * Open addressing with linear probing over one typed array: per slot the hash's halves and the count plus one
 * (0 is a free slot). A Map from the keys' text takes ten times the memory, and keys in lanes may be millions.
 *
 * Invariant: keys with the same hash are one: they share their count, and are there while one of them is. Whoever
 * asks must be right when told of a key that is not there. Over a million keys that comes up once in 30 million tables.
 */
export class KeyCounts {
  readonly #hash: (key: string) => Hash;
  #slots = new Uint32Array(MIN_CAPACITY * FIELDS);
  #size = 0;

  constructor(hash: (key: string) => Hash = hashOf) {
    this.#hash = hash;
  }

  /** Keys that are there, with a count of zero, too. */
  get size(): number {
    return this.#size;
  }

  /** Undefined when the key is not there. */
  get(key: string): number | undefined {
    if (this.#size === 0) return undefined;
    const count = this.#slots[this.#find(this.#hash(key)) + 2] ?? 0;
    return count === 0 ? undefined : count - 1;
  }

  /** Adds to the key's count; a key that is not there begins at zero and stays until it is deleted. */
  add(key: string, change: number): void {
    const hash = this.#hash(key);
    let at = this.#find(hash);
    if (this.#slots[at + 2] === 0) {
      if (this.#size + 1 > this.#capacity * FULLEST) {
        this.#resize(this.#capacity * 2);
        at = this.#find(hash);
      }
      this.#slots.set([hash[0], hash[1], 1], at);
      this.#size += 1;
    }
    this.#slots[at + 2] = (this.#slots[at + 2] ?? 0) + change;
  }

  delete(key: string): void {
    const at = this.#find(this.#hash(key));
    if (this.#slots[at + 2] === 0) return;
    this.#close(at);
    this.#size -= 1;
    if (this.#capacity > MIN_CAPACITY && this.#size < this.#capacity * EMPTIEST) {
      this.#resize(this.#capacity / 2);
    }
  }

  get #capacity(): number {
    return this.#slots.length / FIELDS;
  }

  /** The hash's slot, or the free one where it would stand. One is always free. */
  #find([high, low]: Hash): number {
    const slots = this.#slots;
    let at = this.#home(low);
    while (slots[at + 2] !== 0 && (slots[at] !== high || slots[at + 1] !== low)) {
      at = this.#next(at);
    }
    return at;
  }

  #home(low: number): number {
    return (low & (this.#capacity - 1)) * FIELDS;
  }

  #next(at: number): number {
    return at + FIELDS === this.#slots.length ? 0 : at + FIELDS;
  }

  /** Frees a slot and moves those behind it up that would not be found past the hole. */
  #close(freed: number): void {
    const slots = this.#slots;
    let hole = freed;
    for (let at = this.#next(hole); slots[at + 2] !== 0; at = this.#next(at)) {
      const home = this.#home(slots[at + 1] ?? 0);
      const reachable = hole <= at ? home > hole && home <= at : home > hole || home <= at;
      if (reachable) continue;
      slots.copyWithin(hole, at, at + FIELDS);
      hole = at;
    }
    slots.fill(0, hole, hole + FIELDS);
  }

  #resize(capacity: number): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(capacity * FIELDS);
    for (let at = 0; at < old.length; at += FIELDS) {
      if (old[at + 2] === 0) continue;
      this.#slots.set(old.subarray(at, at + FIELDS), this.#find([old[at] ?? 0, old[at + 1] ?? 0]));
    }
  }
}

/** Two rounds of 32-bit multiply and shift over the UTF-16 units, mixed at the end as MurmurHash3 does. */
export function hashOf(key: string): Hash {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let index = 0; index < key.length; index += 1) {
    const unit = key.charCodeAt(index);
    high = Math.imul(high ^ unit, 0x9e3779b1);
    low = Math.imul(low ^ unit, 0x5f356495);
    high ^= high >>> 15;
    low ^= low >>> 13;
  }
  return [mix(high ^ (low >>> 3)), mix(low ^ (high << 5))];
}

function mix(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
