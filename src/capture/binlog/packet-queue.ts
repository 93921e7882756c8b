/** What came from the socket and was not parsed yet, bounded by bytes. */

import type { RawEvent } from './event-parser.ts';

/**
 * A queue between the socket's callbacks and a reader that takes its time. Invariant: `bytes` counts
 * everything put and not yet released, also what the reader holds; at `maxBytes` the flow is stopped, and it
 * goes on below half of that. Without the bound a slow log would let a fast server fill the memory.
 *
 * One packet may be larger than `maxBytes`: it is taken alone. What is in a file counts as well, or the files would
 * be without a bound.
 */
export class PacketQueue {
  readonly #maxBytes: number;
  readonly #flow: { pause(): void; resume(): void };
  #packets: (RawEvent | undefined)[] = [];
  #head = 0;
  #bytes = 0;
  #heldBytes = 0;
  #paused = false;

  constructor(maxBytes: number, flow: { pause(): void; resume(): void }) {
    this.#maxBytes = maxBytes;
    this.#flow = flow;
  }

  get paused(): boolean {
    return this.#paused;
  }

  get isEmpty(): boolean {
    return this.#head === this.#packets.length;
  }

  /** Bytes waiting or held by the reader. */
  get bytes(): number {
    return this.#bytes;
  }

  put(packet: RawEvent): void {
    this.#packets.push(packet);
    this.#bytes += packet.length;
    if (!this.#paused && this.#bytes >= this.#maxBytes) {
      this.#paused = true;
      this.#flow.pause();
    }
  }

  /** The oldest packet; it counts until `release`. */
  take(): RawEvent | undefined {
    const packet = this.#packets[this.#head];
    if (packet === undefined) return undefined;
    // Let go of here: of a packet of many megabytes only the reader decides how long it is kept.
    this.#packets[this.#head] = undefined;
    this.#head += 1;
    this.#heldBytes += packet.length;
    if (this.#head === this.#packets.length) {
      this.#packets = [];
      this.#head = 0;
    }
    return packet;
  }

  /** The reader is done with everything it took. */
  release(): void {
    this.#bytes -= this.#heldBytes;
    this.#heldBytes = 0;
    if (this.#paused && this.#bytes < this.#maxBytes / 2) {
      this.#paused = false;
      this.#flow.resume();
    }
  }

  /** Forgets everything; the flow stays as it is. */
  clear(): void {
    for (const packet of this.#packets) {
      if (packet !== undefined && !Buffer.isBuffer(packet)) packet.close();
    }
    this.#packets = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#heldBytes = 0;
  }
}
