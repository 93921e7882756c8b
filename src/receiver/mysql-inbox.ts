/** An inbox in MySQL: an event's id and its effect are committed together, or neither. */

import { hash } from 'node:crypto';
import type { Inbox } from './inbox.ts';

/** What is used of a connection of mysql2/promise. */
export interface InboxConnection {
  beginTransaction(): Promise<unknown>;
  query(sql: string, values?: unknown[]): Promise<unknown>;
  commit(): Promise<unknown>;
  rollback(): Promise<unknown>;
  release(): void;
  destroy(): void;
}

export interface InboxPool<C extends InboxConnection> {
  getConnection(): Promise<C>;
}

/** MySQL's ER_DUP_ENTRY. */
const DUPLICATE = 1062;
/** Rows per statement, so that no purge holds locks for long. */
const PURGE_ROWS = 1_000;

export interface MysqlInbox<C extends InboxConnection> extends Inbox<C> {
  /** Makes the table where it is not there. @throws Error where it is of an engine without transactions */
  prepare(): Promise<void>;
  /** Forgets what is older than so many days, and returns how many. A repeat of those would be taken again. */
  purge(olderThanDays: number): Promise<number>;
}

/**
 * The effect is given the connection whose transaction holds the id: what it writes there is committed with it. Two
 * deliveries of one id wait for one another at the primary key.
 *
 * @param table its name, perhaps with its schema; letters, digits, `_` and `$` only
 */
export function mysqlInbox<C extends InboxConnection>(
  pool: InboxPool<C>,
  table = 'rowcall_inbox',
): MysqlInbox<C> {
  if (!/^[\w$]+(?:\.[\w$]+)?$/.test(table)) throw new TypeError('This is no name of a table');
  const name = table
    .split('.')
    .map((part) => `\`${part}\``)
    .join('.');
  return {
    prepare: () => withConnection(pool, (connection) => prepare(connection, name)),
    purge: (days) => withConnection(pool, (connection) => purge(connection, name, days)),
    async once(id, effect) {
      const connection = await pool.getConnection();
      try {
        await connection.beginTransaction();
        if (!(await insert(connection, name, id))) {
          await connection.rollback();
          connection.release();
          return 'repeat';
        }
        const taken = await effect(connection);
        if (taken === 'accepted') await forget(connection, name, id);
        await connection.commit();
        connection.release();
        return taken;
      } catch (error) {
        // The server rolls back what a lost connection had open: no rollback of ours could be trusted more.
        connection.destroy();
        throw error;
      }
    },
  };
}

async function withConnection<C extends InboxConnection, R>(
  pool: InboxPool<C>,
  work: (connection: C) => Promise<R>,
): Promise<R> {
  const connection = await pool.getConnection();
  try {
    return await work(connection);
  } finally {
    connection.release();
  }
}

/** An id may be longer than an index key: its hash is the key, and it stands beside it for a person. */
async function prepare(connection: InboxConnection, name: string): Promise<void> {
  await connection.query(
    `CREATE TABLE IF NOT EXISTS ${name} (id_hash BINARY(32) NOT NULL PRIMARY KEY, id TEXT CHARACTER SET ascii NOT NULL, ` +
      'taken_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), KEY (taken_at)) ENGINE=InnoDB',
  );
  const found = JSON.stringify(await connection.query(`SHOW CREATE TABLE ${name}`));
  if (!found.includes('ENGINE=InnoDB')) {
    throw new Error(`The inbox ${name} is not of InnoDB: it would not be undone with its effect`);
  }
}

async function insert(connection: InboxConnection, name: string, id: string): Promise<boolean> {
  try {
    const values = [hash('sha256', id, 'buffer'), id];
    await connection.query(`INSERT INTO ${name} (id_hash, id) VALUES (?, ?)`, values);
    return true;
  } catch (error) {
    const errno: unknown = error instanceof Error ? Reflect.get(error, 'errno') : undefined;
    if (errno === DUPLICATE) return false;
    throw error;
  }
}

async function forget(connection: InboxConnection, name: string, id: string): Promise<void> {
  await connection.query(`DELETE FROM ${name} WHERE id_hash = ?`, [hash('sha256', id, 'buffer')]);
}

async function purge(connection: InboxConnection, name: string, days: number): Promise<number> {
  let purged = 0;
  for (;;) {
    const answer = await connection.query(
      `DELETE FROM ${name} WHERE taken_at < CURRENT_TIMESTAMP(3) - INTERVAL ? DAY ORDER BY taken_at LIMIT ${PURGE_ROWS}`,
      [days],
    );
    const [result] = answer as [{ readonly affectedRows: number }];
    purged += result.affectedRows;
    if (result.affectedRows < PURGE_ROWS) return purged;
  }
}
