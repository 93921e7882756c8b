/** Asks a server for its version: the proof that it is there and lets us in. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';

const CONNECT_TIMEOUT_MS = 5_000;
const POLL_MS = 50;

/** `SELECT VERSION()`; rejects with the connection's error. */
export async function askVersion(url: string): Promise<string> {
  const connection = await createConnection({ uri: url, connectTimeout: CONNECT_TIMEOUT_MS });
  try {
    const [rows] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version');
    return String(rows[0]?.['version']);
  } finally {
    connection.destroy();
  }
}

/** Asks until it answers; rejects with the last error once `timeoutMs` have passed or `isOver()`. */
export async function waitForVersion(
  url: string,
  timeoutMs: number,
  isOver: () => boolean,
): Promise<string> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await askVersion(url);
    } catch (error) {
      // Not there yet: what is wrong in earnest is told at the deadline, with this as its cause.
      if (isOver() || performance.now() > deadline) throw error;
    }
    await sleep(POLL_MS);
  }
}
