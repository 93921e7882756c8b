import { createPool, type Pool, type PoolConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mysqlInbox, type MysqlInbox } from '../../src/receiver/receiver.ts';
import { freshDatabase } from '../support/mysql.ts';

let pool: Pool;
let inbox: MysqlInbox<PoolConnection>;

beforeAll(async () => {
  const { url } = await freshDatabase('inbox');
  pool = createPool({ uri: url, connectionLimit: 8 });
  inbox = mysqlInbox(pool);
  await inbox.prepare();
  await inbox.prepare();
  await pool.query('CREATE TABLE stock (id INT PRIMARY KEY, taken INT NOT NULL)');
  await pool.query('INSERT INTO stock VALUES (1, 0)');
});

afterAll(() => pool.end());

async function taken(): Promise<number> {
  const [rows] = await pool.query<RowDataPacket[]>('SELECT taken FROM stock WHERE id = 1');
  return Number(rows[0]?.['taken']);
}

const take = async (connection: PoolConnection): Promise<'done'> => {
  await connection.query('UPDATE stock SET taken = taken + 1 WHERE id = 1');
  return 'done';
};

describe('an inbox in MySQL', () => {
  test('commits an effect once for its id, however long the id is', async () => {
    for (const id of ['short', `${'g'.repeat(5000)}:1`, `${'g'.repeat(5000)}:2`]) {
      const before = await taken();
      expect(await inbox.once(id, take)).toBe('done');
      expect(await inbox.once(id, take)).toBe('repeat');
      expect(await taken()).toBe(before + 1);
    }
  });

  test('undoes the effect and the id together when the effect fails', async () => {
    const before = await taken();
    const failing = async (connection: PoolConnection): Promise<'done'> => {
      await take(connection);
      throw new Error('after the update');
    };
    await expect(inbox.once('failing', failing)).rejects.toThrow('after the update');
    expect(await taken()).toBe(before);
    expect(await inbox.once('failing', take)).toBe('done');
    expect(await taken()).toBe(before + 1);
  });

  test('undoes both when the connection is lost before the commit', async () => {
    const before = await taken();
    const losing = async (connection: PoolConnection): Promise<'done'> => {
      await take(connection);
      await pool.query(`KILL ${connection.threadId}`);
      return 'done';
    };
    await expect(inbox.once('lost', losing)).rejects.toThrow();
    expect(await taken()).toBe(before);
    expect(await inbox.once('lost', take)).toBe('done');
  });

  test('lets one of many at once take it, and the others wait for its outcome', async () => {
    const before = await taken();
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => inbox.once('many', take)));
    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'repeat')).toHaveLength(5);
    expect(await taken()).toBe(before + 1);
  });

  test('commits what an accepted event wrote, and does not remember it', async () => {
    const before = await taken();
    const accept = async (connection: PoolConnection): Promise<'accepted'> => {
      await take(connection);
      return 'accepted';
    };
    expect(await inbox.once('accepted', accept)).toBe('accepted');
    expect(await inbox.once('accepted', accept)).toBe('accepted');
    expect(await taken()).toBe(before + 2);
  });

  test('forgets what is old, and nothing else', async () => {
    await pool.query('DELETE FROM rowcall_inbox');
    const old = Array.from(
      { length: 2500 },
      (_, n) => `(UNHEX(SHA2('${n}', 256)), '${n}', '2020-01-01')`,
    );
    await pool.query(`INSERT INTO rowcall_inbox (id_hash, id, taken_at) VALUES ${old.join(',')}`);
    await inbox.once('new', take);
    expect(await inbox.purge(30)).toBe(2500);
    expect(await inbox.once('new', take)).toBe('repeat');
    expect(await inbox.once('7', take)).toBe('done');
  });

  test('refuses a table without transactions, and a name that is none', async () => {
    await pool.query(
      'CREATE TABLE old_inbox (id_hash BINARY(32) PRIMARY KEY, id TEXT) ENGINE=MyISAM',
    );
    await expect(mysqlInbox(pool, 'old_inbox').prepare()).rejects.toThrow('not of InnoDB');
    expect(() => mysqlInbox(pool, 'a`; DROP TABLE b')).toThrow(TypeError);
  });
});
