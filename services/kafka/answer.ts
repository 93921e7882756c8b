/**
 * Asks a broker which brokers of its cluster serve clients: the proof that it is there. One request of
 * the protocol, written by hand, so that the referee stands on no client library under test.
 */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const METADATA_KEY = 3;
/** The last version with fixed-width lengths: https://kafka.apache.org/protocol#The_Messages_Metadata */
const METADATA_VERSION = 8;
const REQUEST_TIMEOUT_MS = 5_000;
const POLL_MS = 50;

/** Ids of the brokers that serve clients, in ascending order; rejects with the connection's error. */
export async function askBrokers(host: string, port: number): Promise<number[]> {
  const reader = new Reader(await exchange(host, port, metadataRequest()));
  reader.int32(); // correlation id
  reader.int32(); // throttle time
  const ids: number[] = [];
  for (let left = reader.int32(); left > 0; left -= 1) {
    ids.push(reader.int32());
    reader.string(); // host
    reader.int32(); // port
    reader.string(); // rack
  }
  return ids.sort((a, b) => a - b);
}

/** Asks until all `ids` serve; rejects with what is missing once the time is over or `isOver()`. */
export async function waitForBrokers(
  address: { readonly host: string; readonly port: number },
  ids: readonly number[],
  limit: { readonly timeoutMs: number; readonly isOver: () => boolean },
): Promise<void> {
  const deadline = performance.now() + limit.timeoutMs;
  for (;;) {
    try {
      const there = await askBrokers(address.host, address.port);
      if (ids.every((id) => there.includes(id))) return;
      throw new Error(`Of the brokers ${ids.join(', ')} only ${there.join(', ')} serve clients`);
    } catch (error) {
      // Not there yet: what is wrong in earnest is told at the deadline, with this as its cause.
      if (limit.isOver() || performance.now() > deadline) throw error;
    }
    await sleep(POLL_MS);
  }
}

function metadataRequest(): Buffer {
  const body = Buffer.alloc(21);
  let at = 0;
  at = body.writeInt32BE(body.length - 4, at);
  at = body.writeInt16BE(METADATA_KEY, at);
  at = body.writeInt16BE(METADATA_VERSION, at);
  at = body.writeInt32BE(1, at); // correlation id
  at = body.writeInt16BE(-1, at); // no client id
  // No topics: an empty array, where null would mean all of them; then three flags, all off.
  body.writeInt32BE(0, at);
  return body;
}

/** Sends one request and gives its response without the leading length. */
function exchange(host: string, port: number, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const chunks: Buffer[] = [];
    socket.setTimeout(REQUEST_TIMEOUT_MS, () => {
      socket.destroy(new Error(`No answer from ${host}:${port} in ${REQUEST_TIMEOUT_MS} ms`));
    });
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      if (bytes.length < 4 || bytes.length < 4 + bytes.readInt32BE(0)) return;
      resolve(bytes.subarray(4));
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      reject(new Error(`${host}:${port} closed the connection without an answer`));
    });
    socket.write(request);
  });
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int32(): number {
    const value = this.#bytes.readInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  /** Passed over; a length of -1 is null. */
  string(): void {
    const length = this.#bytes.readInt16BE(this.#at);
    this.#at += 2 + Math.max(length, 0);
  }
}
