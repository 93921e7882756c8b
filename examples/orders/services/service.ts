/** What the four services share: their settings, the database, a listener, calls of one another. */

import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPool, type Pool, type PoolConnection } from 'mysql2/promise';
import { Agent, request } from 'undici';

export function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set`);
  return value;
}

export function openPool(): Pool {
  return createPool({
    uri: setting('MYSQL_URL'),
    connectionLimit: Number(process.env['CONNECTIONS'] ?? 32),
  });
}

/** Commits what `work` writes, or none of it. */
export async function inTransaction<T>(
  pool: Pool,
  work: (transaction: PoolConnection) => Promise<T>,
): Promise<T> {
  const connection = await pool.getConnection();
  try {
    await connection.beginTransaction();
    const result = await work(connection);
    await connection.commit();
    connection.release();
    return result;
  } catch (error) {
    // The server rolls back what a closed connection had open.
    connection.destroy();
    throw error;
  }
}

/** Listens on PORT; a route is a whole path. */
export function listen(routes: Readonly<Record<string, RequestListener>>): void {
  const server = createServer({ keepAliveTimeout: 60_000 }, (incoming, response) => {
    const route = routes[incoming.url ?? ''];
    if (route === undefined) response.writeHead(404).end();
    else route(incoming, response);
  });
  server.listen(Number(setting('PORT')), '127.0.0.1', () => {
    console.log('listening');
  });
}

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

/** A route that takes JSON and answers with JSON; what is thrown is 500. */
export function jsonRoute(answer: (body: unknown) => Promise<Answer>): RequestListener {
  const respond = async (incoming: IncomingMessage): Promise<Answer> =>
    answer(JSON.parse(Buffer.concat(await incoming.toArray()).toString()));
  return (incoming, response) => {
    respond(incoming)
      .catch((error: unknown): Answer => {
        console.error(incoming.url, error);
        return { status: 500 };
      })
      .then(({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(body === undefined ? '' : JSON.stringify(body));
      })
      .catch((error: unknown) => {
        response.destroy(error instanceof Error ? error : undefined);
      });
  };
}

const agent = new Agent({ connections: 512, keepAliveTimeout: 30_000 });
const CALL_TIMEOUT_MS = 5_000;

/** Calls another service. @throws Error where it is not there, too slow, or does not answer 200 */
export async function call(url: string, body: unknown): Promise<unknown> {
  const answer = await request(url, {
    dispatcher: agent,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    headersTimeout: CALL_TIMEOUT_MS,
    bodyTimeout: CALL_TIMEOUT_MS,
  });
  if (answer.statusCode !== 200) {
    await answer.body.dump();
    throw new Error(`${url} answered ${answer.statusCode}`);
  }
  return answer.body.json();
}

const [leastMs = 20, mostMs = 80] = (process.env['SERVICE_MS'] ?? '20-80').split('-').map(Number);

/** What the service's own work takes beside the database: a warehouse system, a mail gateway. */
export function ownWork(): Promise<void> {
  return sleep(leastMs + Math.random() * (mostMs - leastMs));
}
