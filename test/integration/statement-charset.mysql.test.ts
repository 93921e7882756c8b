/** Statements whose bytes mean something else in the client's character set than in ours. */
import { createConnection } from 'mysql2/promise';
import { expect, it } from 'vitest';
import { mysqlUrl } from '../support/mysql.ts';
import { captured } from './support/captured.ts';

it.each([
  ['SJIS_JAPANESE_CI', 'ソ'],
  ['CP932_JAPANESE_CI', '表'],
  ['GBK_CHINESE_CI', '表'],
  ['BIG5_CHINESE_CI', '功'],
])('what a %s client truncates and drops is the table that it names', async (charset, table) => {
  const schema = `CREATE TABLE \`${table}\` (id INT PRIMARY KEY)`;
  await captured({ schema }, async ({ name, connection, records }) => {
    await connection.query(`INSERT INTO \`${table}\` VALUES (1)`);
    const client = await createConnection({ uri: mysqlUrl(), charset, database: name });
    await client.query(`TRUNCATE TABLE \`${table}\``);
    await client.query(`ALTER TABLE \`${table}\` COMMENT '${table}', ADD b INT COMMENT '${table}'`);
    await client.query(`INSERT INTO \`${table}\` VALUES (2, 3)`);
    await client.query(`DROP TABLE \`${table}\``);
    await client.end();
    const [written] = Object.values(await records(4));
    const operations = written?.map(({ value }) => {
      const { op, source } = JSON.parse(value?.toString() ?? '') as {
        op: string;
        source: { table: string };
      };
      return [op, source.table];
    });
    expect(operations).toEqual(['c', 't', 'c', 't'].map((op) => [op, table]));
  });
});
