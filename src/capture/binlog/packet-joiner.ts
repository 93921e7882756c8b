/** Bytes of the dump's socket in, packets of MySQL's protocol out: joined where one event spans several. */

import { LARGE_EVENT_BYTES } from '../../shared/large-work.ts';
import { Reclaim } from '../../shared/reclaim.ts';
import { CODE } from './event-codes.ts';
import { SpooledEvent } from './spooled-event.ts';

/** What mysql2 hands a command. `offset` stands at the status byte. The object is used again for the next. */
export interface RawPacket {
  sequenceId: number;
  numPackets: number;
  buffer: Buffer;
  start: number;
  offset: number;
  end: number;
}

/** The parts used of mysql2's own parser, whose place this one takes. */
export interface RawPacketParser {
  readonly onPacket: (packet: RawPacket) => void;
  readonly _reusablePacket: RawPacket;
}

/** u24 length of the payload, u8 sequence number. */
const HEADER_BYTES = 4;
/** A payload of this length goes on in the next packet. */
const FULL_PAYLOAD = 0xff_ffff;
/** Of a payload with an event: status byte, then the event's header with its length at 9. */
const EVENT_LENGTH_AT = HEADER_BYTES + 1 + 9;
const BEFORE_EVENT = HEADER_BYTES + 1;
const EVENT_CODE_AT = BEFORE_EVENT + 4;
const STATUS_OK = 0;
/** What is not gone beyond on the word of a header alone: `max_allowed_packet` cannot be larger. */
const MAX_EVENT_BYTES = 1024 * 1024 * 1024;
/** Of the socket's own buffers so much may wait for the collector beside a large event. */
const GARBAGE_BYTES = 8 * 1024 * 1024;

const NOTHING = Buffer.alloc(0);

/**
 * A packet that lies within what the socket gave is a view of it. Any other is gathered in one buffer of its whole
 * length, which for an event over 16 MiB its own header tells. Invariant: of the event that is being received there
 * is one copy; mysql2's parser, whose place this takes for the dump, makes two, and keeps what it joined in a third.
 *
 * A compressed transaction over 16 MiB goes to a file instead, since it is read piece by piece and may come to a
 * gigabyte. Its packet has its first bytes only, by which `takeSpooled` gives the rest.
 */
export class PacketJoiner {
  readonly #parser: RawPacketParser;
  readonly #reclaim = new Reclaim(GARBAGE_BYTES);
  readonly #header = Buffer.alloc(HEADER_BYTES);
  readonly #spoolFolder: string;
  /** The event that goes to a file while it is received. */
  #spool: SpooledEvent | null = null;
  /** Handed on and not taken yet, by the bytes of their packet: mysql2 may keep packets while it is paused. */
  readonly #spooled = new Map<Buffer, SpooledEvent>();
  #headerBytes = 0;
  /** The packet being gathered, its header first; null between two packets. */
  #whole: Buffer<ArrayBuffer> | null = null;
  #filled = 0;
  /** Bytes of this payload that are still to come. */
  #left = 0;
  #goesOn = false;
  #packets = 0;
  #sequenceId = 0;

  constructor(parser: RawPacketParser, spoolFolder: string) {
    this.#parser = parser;
    this.#spoolFolder = spoolFolder;
  }

  /** The event that a packet with these bytes stands for; the caller's to close. */
  takeSpooled(packet: Buffer): SpooledEvent | undefined {
    const event = this.#spooled.get(packet);
    this.#spooled.delete(packet);
    return event;
  }

  /** Lets go of the files of what nobody took. */
  close(): void {
    this.#spool?.close();
    for (const event of this.#spooled.values()) event.close();
    this.#spooled.clear();
  }

  /** What mysql2 calls with what its socket gave. */
  execute(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) at = this.#fill(chunk, at);
      else if (this.#isWhole(chunk, at)) at = this.#pass(chunk, at);
      else at = this.#readHeader(chunk, at);
    }
  }

  #isWhole(chunk: Buffer, at: number): boolean {
    if (this.#whole !== null || this.#headerBytes > 0) return false;
    const available = chunk.length - at - HEADER_BYTES;
    if (available < 0) return false;
    const length = chunk.readUIntLE(at, 3);
    return length <= available && length < FULL_PAYLOAD;
  }

  #pass(chunk: Buffer, at: number): number {
    const end = at + HEADER_BYTES + chunk.readUIntLE(at, 3);
    this.#sequenceId = chunk.readUInt8(at + 3);
    this.#packets = 1;
    this.#emit(chunk, at, end);
    return end;
  }

  #readHeader(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + HEADER_BYTES - this.#headerBytes);
    this.#headerBytes += chunk.copy(this.#header, this.#headerBytes, at, end);
    if (this.#headerBytes < HEADER_BYTES) return end;
    this.#headerBytes = 0;
    this.#left = this.#header.readUIntLE(0, 3);
    this.#goesOn = this.#left === FULL_PAYLOAD;
    if (this.#whole === null) this.#begin();
    else this.#packets += 1;
    if (this.#left === 0) this.#endOfPayload();
    return end;
  }

  #begin(): void {
    // Up to the event's length; `#grow` reads it there.
    const room = this.#goesOn ? EVENT_LENGTH_AT + 4 : HEADER_BYTES + this.#left;
    this.#whole = Buffer.allocUnsafeSlow(room);
    this.#filled = this.#header.copy(this.#whole);
    this.#sequenceId = this.#header.readUInt8(3);
    this.#packets = 1;
  }

  #fill(chunk: Buffer, at: number): number {
    if (this.#isPayload()) this.#startSpool();
    if (this.#spool !== null) return this.#fillSpool(this.#spool, chunk, at);
    const whole = this.#roomFor();
    const count = Math.min(this.#left, chunk.length - at, whole.length - this.#filled);
    chunk.copy(whole, this.#filled, at, at + count);
    this.#filled += count;
    this.#left -= count;
    if (whole.length >= LARGE_EVENT_BYTES) this.#reclaim.released(count);
    if (this.#left === 0) this.#endOfPayload();
    return at + count;
  }

  /** Whether what is here is the beginning, up to the event's length, of a compressed transaction of several packets. */
  #isPayload(): boolean {
    const whole = this.#whole ?? NOTHING;
    return (
      this.#goesOn &&
      this.#spool === null &&
      this.#packets === 1 &&
      this.#filled === whole.length &&
      whole[HEADER_BYTES] === STATUS_OK &&
      whole[EVENT_CODE_AT] === CODE.TRANSACTION_PAYLOAD
    );
  }

  #startSpool(): void {
    this.#spool = new SpooledEvent(this.#spoolFolder);
    this.#spool.write((this.#whole ?? NOTHING).subarray(BEFORE_EVENT));
  }

  #fillSpool(spool: SpooledEvent, chunk: Buffer, at: number): number {
    const end = Math.min(at + this.#left, chunk.length);
    spool.write(chunk.subarray(at, end));
    this.#left -= end - at;
    if (this.#left === 0) this.#endOfPayload();
    return end;
  }

  /** The buffer, with room. A header that lies about the event's length costs copies; the event's reader refuses it. */
  #roomFor(): Buffer {
    const whole = this.#whole ?? NOTHING;
    if (this.#filled < whole.length) return whole;
    const told = BEFORE_EVENT + whole.readUInt32LE(EVENT_LENGTH_AT);
    const size = Math.max(Math.min(told, MAX_EVENT_BYTES), this.#filled + this.#left);
    const larger = Buffer.allocUnsafeSlow(size);
    whole.copy(larger);
    this.#whole = larger;
    return larger;
  }

  #endOfPayload(): void {
    if (this.#goesOn) return;
    const whole = this.#whole ?? NOTHING;
    this.#whole = null;
    if (this.#spool !== null) this.#spooled.set(whole, this.#spool);
    this.#spool = null;
    this.#emit(whole, 0, this.#filled);
  }

  #emit(buffer: Buffer, start: number, end: number): void {
    const packet = this.#parser._reusablePacket;
    packet.sequenceId = this.#sequenceId;
    packet.numPackets = this.#packets;
    packet.buffer = buffer;
    packet.start = start;
    packet.offset = start + HEADER_BYTES;
    packet.end = end;
    this.#parser.onPacket(packet);
    // Used again only when the next one comes: until then it would hold this one's bytes.
    packet.buffer = NOTHING;
  }
}
