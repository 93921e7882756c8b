import { beforeAll, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { startOwnMariadb } from '../support/mariadb.ts';
import { captured } from './support/captured.ts';

let server: MysqlServer;
beforeAll(async () => {
  server = await startOwnMariadb({
    version: '11.4',
    args: ['--binlog-row-image=FULL_NODUP'],
  });
});

it('rows that MariaDB writes without repeating what stayed the same come whole', async () => {
  const schema = 'CREATE TABLE t (id INT PRIMARY KEY, a INT, b TEXT)';
  const whole = { url: server.url, schema, requireFullImage: true };
  await captured(whole, async ({ connection, records }) => {
    await connection.query("INSERT INTO t VALUES (1, 1, 'x'), (2, 2, NULL)");
    await connection.query('UPDATE t SET a = 3');
    await connection.query('UPDATE t SET id = 9 WHERE id = 1');
    const { t = [] } = await records(6);
    const images = t.map(({ value }) => {
      const { op, after } = JSON.parse(Buffer.from(value ?? []).toString('utf8')) as {
        readonly op: string;
        readonly after: object | null;
      };
      return `${op} ${JSON.stringify(after)}`;
    });
    expect(images).toEqual([
      'c {"id":1,"a":1,"b":"x"}',
      'c {"id":2,"a":2,"b":null}',
      'u {"id":1,"a":3,"b":"x"}',
      'u {"id":2,"a":3,"b":null}',
      'd null',
      'c {"id":9,"a":3,"b":"x"}',
    ]);
  });
});
