/** A receiver as a listener of Node's http: the body's bytes as they came, and no more of them than allowed. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Receive } from './receiver.ts';

/** @param maxBodyBytes larger bodies are answered with 413; the default is that of `deliver.max_body` */
export function nodeListener(
  receive: Receive,
  maxBodyBytes = 64 * 1024 * 1024,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    respond(receive, request, response, maxBodyBytes).catch((error: unknown) => {
      // Of a connection that is gone, or a defect: nothing was promised, so the event comes again.
      request.destroy(error instanceof Error ? error : undefined);
    });
  };
}

async function respond(
  receive: Receive,
  request: IncomingMessage,
  response: ServerResponse,
  maxBodyBytes: number,
): Promise<void> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > maxBodyBytes) {
      response.writeHead(413, { connection: 'close' }).end();
      return;
    }
    chunks.push(chunk);
  }
  const { status, headers, body } = await receive({
    headers: request.headers,
    body: Buffer.concat(chunks, bytes),
  });
  response.writeHead(status, headers).end(body);
}
