/** Server-Sent Events to one reader, who may be slow: https://html.spec.whatwg.org/multipage/server-sent-events.html */

import type { ServerResponse } from 'node:http';
import type { Clock } from '../../shared/clock.ts';

/** Of what was handed over and not taken yet. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** Proxies and readers take a connection on which nothing comes for longer than a minute or so for a dead one. */
const HEARTBEAT_MS = 15_000;
/** A reader that takes nothing does not hold up a stop. */
const END_MS = 500;

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // nginx would else keep it back.
  'x-accel-buffering': 'no',
};

/**
 * Invariant: what waits for the reader is bounded, and each event that it did not get is told as missed before the
 * next one that it gets. A reader that does not read costs its buffer and nothing else.
 */
export class EventStream {
  readonly #raw: ServerResponse;
  readonly #clock: Clock;
  #events = 0;
  #records = 0;
  #cancel: () => void = () => undefined;

  constructor(raw: ServerResponse, clock: Clock) {
    this.#raw = raw;
    this.#clock = clock;
    raw.writeHead(200, HEADERS);
    raw.write(': the log as it grows\n\n');
    raw.on('drain', () => {
      this.#tellMissed();
    });
    raw.once('close', () => {
      this.#cancel();
    });
    this.#beat();
  }

  /** @param data made only where there is room for it; JSON, and so on one line */
  send(event: string, data: () => object): void {
    if (!this.#hasRoom) {
      this.#events += 1;
      return;
    }
    this.#tellMissed();
    this.#write(event, data());
  }

  /** Records that nobody looked at: it is not known whether they were meant. */
  passed(records: number): void {
    this.#records += records;
    if (this.#hasRoom) this.#tellMissed();
  }

  /** Resolves when the reader has all of it, or has not taken it in time. */
  end(last: object): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#cancel();
    const done = (): void => {
      resolve(undefined);
    };
    this.#cancel = this.#clock.timer(END_MS, done);
    this.#raw.once('close', done);
    this.#tellMissed();
    this.#write('end', last);
    this.#raw.end(done);
    return promise;
  }

  get #hasRoom(): boolean {
    return this.#raw.writableLength < MAX_WAITING_BYTES;
  }

  #tellMissed(): void {
    const [events, records] = [this.#events, this.#records];
    if (events + records === 0 || this.#raw.writableEnded) return;
    this.#events = 0;
    this.#records = 0;
    this.#write('missed', { events, records });
  }

  #write(event: string, data: object): void {
    this.#raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  #beat(): void {
    this.#cancel = this.#clock.timer(HEARTBEAT_MS, () => {
      if (this.#hasRoom) this.#raw.write(': still here\n\n');
      this.#beat();
    });
  }
}
