/** A MySQL server that shows a certificate of the test's own: the real one, with TLS ended and begun anew on the way. */
import { connect as connectPlain, createServer, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';

import type { Certificate } from '../unit/deliver/callback/certificate.ts';

export interface MysqlTlsProxy {
  readonly port: number;
  /** Connections on which the client asked for TLS, and those on which it did not. */
  readonly asked: { tls: number; plain: number };
  readonly close: () => Promise<void>;
}

/** Header and content of the packet by which a client asks for TLS, before it logs in. */
const SSL_REQUEST_BYTES = 4 + 32;

export async function openMysqlTlsProxy(
  target: { readonly host: string; readonly port: number },
  certificate: Certificate,
): Promise<MysqlTlsProxy> {
  const asked = { tls: 0, plain: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connectPlain(target);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
    upstream.once('data', (greeting: Buffer) => {
      client.write(greeting);
      client.once('data', (first: Buffer) => {
        client.pause();
        if (first.readUIntLE(0, 3) !== SSL_REQUEST_BYTES - 4) {
          asked.plain += 1;
          upstream.write(first);
          join(client, upstream);
          return;
        }
        asked.tls += 1;
        upstream.write(first.subarray(0, SSL_REQUEST_BYTES));
        if (first.length > SSL_REQUEST_BYTES) client.unshift(first.subarray(SSL_REQUEST_BYTES));
        const inner = connectTls({ socket: upstream, rejectUnauthorized: false });
        join(new TLSSocket(client, { isServer: true, ...certificate }), inner);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('It listens on a port');
  return {
    port: address.port,
    asked,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Whichever side ends, ends the other: whoever does not trust the certificate leaves in the handshake. */
function join(client: Socket, upstream: Socket): void {
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    from.on('error', () => to.destroy());
    from.pipe(to);
  }
}
