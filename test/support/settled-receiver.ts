/** A receiver that answers each event as a test says, by the id in its row's key. */

import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Receiver {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** The answer to an event of the row of this id, at this attempt; ids as they are written. */
export type React = (
  id: string,
  attempt: number,
  headers: IncomingHttpHeaders,
) => { readonly status: number; readonly body?: string };

export async function openReceiver(react: React): Promise<Receiver> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const [, id = ''] = /"id":"?(\d+)/.exec(Buffer.concat(chunks).toString('utf8')) ?? [];
      const { status, body = '' } = react(
        id,
        Number(request.headers['rowcall-attempt']),
        request.headers,
      );
      response.writeHead(status).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hooks`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
