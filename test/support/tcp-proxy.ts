/** A line between a client and a server that a test can cut, hold and count. */
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/**
 * Forwards every connection to one target. `pause` holds the bytes on their way to the client, as a
 * network that drops packets does: neither side learns of it. `cut` resets both sides at once.
 */
export class TcpProxy {
  readonly host = '127.0.0.1';
  #target: { readonly host: string; readonly port: number };
  readonly #listener: Server;
  readonly #pairs = new Set<Pair>();
  #isPaused = false;
  #bytesToClient = 0;
  #cutAt = Infinity;
  #pauseAt = Infinity;

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    this.#listener = createServer((client) => {
      this.#join(client);
    });
  }

  static async listen(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await new Promise<void>((resolve, reject) => {
      proxy.#listener.once('error', reject);
      proxy.#listener.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    const address = this.#listener.address();
    if (typeof address !== 'object' || address === null) throw new Error('The proxy is closed');
    return address.port;
  }

  /** `url` led through this proxy. */
  through(url: string): string {
    const changed = new URL(url);
    changed.hostname = this.host;
    changed.port = String(this.port);
    return changed.href;
  }

  /** Connections open now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Sent to clients since the start, all connections together. */
  get bytesToClient(): number {
    return this.#bytesToClient;
  }

  /** New connections go to another server; those that are open stay as they are. */
  retarget(target: { readonly host: string; readonly port: number }): void {
    this.#target = target;
  }

  /** Resets all connections; new ones are let through. */
  cut(): void {
    this.#cutAt = Infinity;
    for (const pair of this.#pairs) {
      pair.client.resetAndDestroy();
      pair.server.resetAndDestroy();
    }
    this.#pairs.clear();
  }

  /** Cuts once, as soon as this many more bytes have gone to clients. */
  cutAfter(bytes: number): void {
    this.#cutAt = this.#bytesToClient + bytes;
  }

  /** Pauses once, as soon as at least this many more bytes have gone to clients. */
  pauseAfter(bytes: number): void {
    this.#pauseAt = this.#bytesToClient + bytes;
    if (bytes === 0) this.pause();
  }

  pause(): void {
    this.#pauseAt = Infinity;
    this.#isPaused = true;
    for (const pair of this.#pairs) pair.server.pause();
  }

  resume(): void {
    this.#isPaused = false;
    for (const pair of this.#pairs) pair.server.resume();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#listener.close(() => {
        resolve();
      });
    });
    this.cut();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #join(client: Socket): void {
    const server = connect(this.#target);
    const pair: Pair = { client, server };
    this.#pairs.add(pair);
    client.setNoDelay(true);
    server.setNoDelay(true);
    const end = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      // What goes wrong on one side ends the other: the ends see a lost connection, as they should.
      socket.on('error', end);
      socket.on('close', end);
    }
    client.on('data', (bytes) => {
      if (!server.write(bytes)) client.pause();
    });
    server.on('drain', () => client.resume());
    client.on('end', () => server.end());
    server.on('data', (bytes) => {
      this.#toClient(pair, bytes);
    });
    client.on('drain', () => {
      if (!this.#isPaused) server.resume();
    });
    server.on('end', () => client.end());
    if (this.#isPaused) server.pause();
  }

  #toClient(pair: Pair, bytes: Buffer): void {
    const room = this.#cutAt - this.#bytesToClient;
    const part = bytes.subarray(0, Math.min(bytes.length, room));
    this.#bytesToClient += part.length;
    const flowing = pair.client.write(part);
    if (this.#bytesToClient >= this.#cutAt) {
      // The client reads what came before the cut, then sees the line end.
      this.#cutAt = Infinity;
      pair.client.end();
      pair.server.destroy();
      return;
    }
    if (this.#bytesToClient >= this.#pauseAt) this.pause();
    if (!flowing || this.#isPaused) pair.server.pause();
  }
}
