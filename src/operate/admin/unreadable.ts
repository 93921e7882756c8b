/** What Node's parser refuses before there is a request: answered as a problem, as everything else is. */

import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { RowcallError } from '../../errors.ts';
import { problemOf } from './problem.ts';

/**
 * Room for every address that the API's description allows: texts of 4,096 characters, each of up to twelve bytes in a
 * URL, with others beside them.
 */
export const MAX_HEADER_BYTES = 128 * 1024;

const STATUS: ReadonlyMap<string | undefined, number> = new Map([
  ['ERR_HTTP_REQUEST_TIMEOUT', 408],
  ['HPE_HEADER_OVERFLOW', 431],
]);

/** Says why, where somebody still listens, and hangs up: what follows on that connection cannot be told apart. */
export function refuseUnreadable(
  error: Error & { readonly code?: string | undefined },
  socket: Socket,
): void {
  if (socket.destroyed) return;
  const status = STATUS.get(error.code) ?? 400;
  const title = STATUS_CODES[status] ?? 'Bad Request';
  const refused = new RowcallError('API_REQUEST_INVALID', 'The request cannot be read');
  const body = JSON.stringify({ type: 'about:blank', ...problemOf(refused), status, title });
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  if (socket.writable) socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  socket.destroy(error);
}
