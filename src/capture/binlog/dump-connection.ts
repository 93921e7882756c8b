/**
 * The dump within mysql2: a command of ours on its connection. The parts of mysql2 used here are internal
 * (stable since 2.0); this file alone knows them. What it calls back with is raw: the bytes of each event.
 */

import type { Connection } from 'mysql2/promise';
import { present } from '../../shared/assert.ts';
import type { RawEvent } from './event-parser.ts';
import { PacketJoiner, type RawPacket, type RawPacketParser } from './packet-joiner.ts';

type Packet = Readonly<Pick<RawPacket, 'buffer' | 'offset' | 'end'>>;

interface OutgoingPacket {
  readonly buffer: Buffer;
  length(): number;
  writeHeader(sequenceId: number): void;
}

interface Command {
  execute(packet: Packet | undefined, connection: RawConnection): boolean;
  onResult(error: unknown): void;
}

interface RawConnection {
  /** Where it hands what the socket gave. */
  packetParser: RawPacketParser | PacketJoiner;
  /** The socket, with TLS on it where there is TLS. */
  readonly stream: {
    readonly bytesRead: number;
    pause(): void;
    resume(): void;
    destroy(): void;
  };
  addCommand(command: Command): void;
  _resetSequenceId(): void;
  writePacket(packet: OutgoingPacket): void;
  on(event: 'error', listener: (error: unknown) => void): void;
  destroy(): void;
}

export interface DumpListener {
  /** One event; bytes are a view of what the socket gave, and stay as they are. One in a file is the listener's to close. */
  onEvent(event: RawEvent): void;
  /** The log's end, in a dump that does not wait there. */
  onEnd(): void;
  /** The connection or the dump is over. May be called more than once. */
  onError(error: unknown): void;
}

/** An ERR packet of the server: errno, and its text. */
export class DumpFailure extends Error {
  readonly errno: number;

  constructor(errno: number, message: string) {
    super(message);
    this.errno = errno;
  }
}

const STATUS_OK = 0x00;
const STATUS_END = 0xfe;
const STATUS_ERROR = 0xff;

/**
 * Owns the connection from the dump on. Invariant: nothing is decided here; whatever comes goes to the
 * listener, which only enqueues, because an exception in a callback of mysql2 would end as a connection
 * error that hides its cause.
 */
export class DumpConnection {
  readonly #raw: RawConnection;
  /** What is left to send, the dump last: each waits for the OK to the one before. */
  readonly #requests: Buffer[];
  readonly #listener: DumpListener;
  readonly #spoolFolder: string;
  #joiner: PacketJoiner | null = null;
  #ended = false;

  /** Each of `requests`, of which the last is the dump, has room for the packet header in its first four bytes. */
  constructor(
    connection: Connection,
    requests: readonly Buffer[],
    listener: DumpListener,
    spoolFolder: string,
  ) {
    const inner: unknown = Reflect.get(connection, 'connection');
    this.#raw = present(inner as RawConnection | undefined, 'the connection inside of mysql2');
    this.#requests = [...requests];
    this.#listener = listener;
    this.#spoolFolder = spoolFolder;
  }

  start(): void {
    // Between two packets: the answer to what was asked before is read, and the dump is not asked for.
    const { packetParser } = this.#raw;
    if (!(packetParser instanceof PacketJoiner)) {
      this.#joiner = new PacketJoiner(packetParser, this.#spoolFolder);
      this.#raw.packetParser = this.#joiner;
    }
    this.#raw.on('error', (error) => {
      this.#listener.onError(error);
    });
    this.#raw.addCommand({
      execute: (packet, connection) => this.#execute(packet, connection),
      onResult: (error) => {
        this.#listener.onError(error);
      },
    });
  }

  /** Bytes that came from the socket so far: what a watchdog compares. */
  get bytesRead(): number {
    return this.#raw.stream.bytesRead;
  }

  /**
   * Stops reading from the socket, so that the server's sending stops too. What it gave already still comes. mysql2's
   * own pause keeps that back as well: a server that hangs up behind the last event of a dump would be heard first,
   * and the events and the end of the dump be lost.
   */
  pause(): void {
    this.#raw.stream.pause();
  }

  resume(): void {
    this.#raw.stream.resume();
  }

  /** At once and without a farewell: a dumping server reads no commands. */
  destroy(): void {
    this.#ended = true;
    this.#raw.destroy();
    this.#raw.stream.destroy();
    this.#joiner?.close();
  }

  /** Called without a packet to begin, then once per packet; true ends the command. */
  #execute(packet: Packet | undefined, connection: RawConnection): boolean {
    if (this.#ended) return false;
    const status = packet?.buffer[packet.offset];
    const request =
      packet === undefined || status === STATUS_OK ? this.#requests.shift() : undefined;
    if (packet === undefined || request !== undefined) {
      connection._resetSequenceId();
      connection.writePacket(outgoing(present(request, 'a request')));
      return false;
    }
    if (status === STATUS_OK) {
      const spooled = this.#joiner?.takeSpooled(packet.buffer);
      this.#listener.onEvent(spooled ?? packet.buffer.subarray(packet.offset + 1, packet.end));
      return false;
    }
    if (status === STATUS_END) this.#listener.onEnd();
    else this.#listener.onError(readFailure(packet, status));
    return true;
  }
}

function outgoing(buffer: Buffer): OutgoingPacket {
  return {
    buffer,
    length: () => buffer.length,
    writeHeader: (sequenceId) => {
      buffer.writeUIntLE(buffer.length - 4, 0, 3);
      buffer.writeUInt8(sequenceId, 3);
    },
  };
}

/** ERR_Packet: 0xff, u16 errno, '#' and five characters of SQL state, text. */
function readFailure(packet: Packet, status: number | undefined): Error {
  const { buffer, offset, end } = packet;
  if (status !== STATUS_ERROR || end - offset < 9) return new Error(`Packet of status ${status}`);
  return new DumpFailure(buffer.readUInt16LE(offset + 1), buffer.toString('utf8', offset + 9, end));
}
