/** The connections of one life in a group, so that it can be ended for good. */

import { connect as connectTcp, isIP, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ISocketFactory } from 'kafkajs';

const KEEP_ALIVE_MS = 60_000;

/**
 * kafkajs goes on joining when it is told to disconnect in the middle of it, and would then stay in the group beside
 * the member that follows it: of one process, and perhaps with the turn. Invariant: after `end` nothing of that life
 * reaches a broker; the coordinator throws the silent member out.
 */
export class MemberSockets {
  readonly #open = new Set<Socket>();
  #ended = false;

  readonly factory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    if (this.#ended) return refused();
    const socket = (ssl as object | undefined)
      ? connectTls(
          { host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...ssl },
          onConnect,
        )
      : connectTcp({ host, port }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    return socket;
  };

  end(): void {
    this.#ended = true;
    for (const socket of this.#open) socket.destroy();
  }
}

/** Fails in the next turn, when kafkajs listens to it. */
function refused(): Socket {
  return new Socket().destroy(new Error('This member has left its group'));
}
