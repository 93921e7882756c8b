import type { RowDataPacket } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { MARIADB_VERSIONS, startOwnMariadb } from '../support/mariadb.ts';
import { freshDatabase, withConnection } from '../support/mysql.ts';
import { type ReadRow, readRows } from './support/read-rows.ts';
import { oracleOf } from './support/select-oracle.ts';
import { type Example, EXAMPLES, HARD } from './support/value-examples.ts';

const SESSION = "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00', NAMES utf8mb4";
/** MariaDB's JSON is a text with a check, and it has neither these types nor columns bound to an SRID. */
const NOT_OF_MARIADB = /^JSON|^VECTOR|gb18030|SRID/;
const TABLE_COLUMNS = 30;

describe.each(MARIADB_VERSIONS)('MariaDB %s', (version) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnMariadb({ version });
  });

  /** Each value that we read, beside what SELECT prints. */
  async function compare(examples: readonly Example[]): Promise<void> {
    const { name, url } = await freshDatabase('values', server.url);
    for (let from = 0; from < examples.length; from += TABLE_COLUMNS) {
      const some = examples.slice(from, from + TABLE_COLUMNS);
      const columns = some.map(({ type }, i) => `c${i} ${type} NULL`).join(', ');
      const texts = some.map(({ type }, i) => oracleOf(type).select(`c${i}`)).join(', ');
      let selected: readonly (string | null)[] = [];
      const [row] = await readRows(server.url, name, () =>
        withConnection(url, async (connection) => {
          await connection.query(SESSION);
          await connection.query(`CREATE TABLE v${from} (${columns}) CHARACTER SET utf8mb4`);
          const literals = some.map(({ literal }) => literal).join(', ');
          await connection.query(`INSERT IGNORE INTO v${from} VALUES (${literals})`);
          const [rows] = await connection.query<RowDataPacket[][]>({
            ...{ sql: `SELECT ${texts} FROM v${from}`, rowsAsArray: true },
          });
          selected = (rows[0] ?? []) as unknown as (string | null)[];
        }),
      );
      const shown = some.map(({ type, literal }, i) => {
        const text = selected[i] ?? null;
        const json = text === null ? 'null' : oracleOf(type).json(text);
        return { type, literal, json };
      });
      const read = some.map(({ type, literal }, i) => {
        return { type, literal, json: row?.after?.[i]?.[1] };
      });
      expect(read).toEqual(shown);
    }
  }

  it('gives the values of every type as SELECT prints them', async () => {
    await compare(EXAMPLES.filter(({ type }) => !NOT_OF_MARIADB.test(type)));
  });

  it('gives hard values exactly', async () => {
    await compare(HARD.filter(({ type }) => !NOT_OF_MARIADB.test(type)));
  });

  async function rowsOf(...statements: readonly string[]): Promise<ReadRow[]> {
    const { name, url } = await freshDatabase('own', server.url);
    return readRows(server.url, name, () =>
      withConnection(url, async (connection) => {
        for (const statement of statements) await connection.query(statement);
      }),
    );
  }

  it('gives its own types: compressed columns as they are, UUID and addresses as their bytes until their types are told', async () => {
    const [row] = await rowsOf(
      'CREATE TABLE t (id INT, u UUID, six INET6, four INET4, c TEXT COMPRESSED, j JSON)',
      `INSERT INTO t VALUES (1, '123e4567-e89b-12d3-a456-426655440000', '2001:db8::1', '192.0.2.1',
        REPEAT('much ', 100), '{"a": 1}')`,
    );
    const bytes = (hex: string): string => `"${Buffer.from(hex, 'hex').toString('base64')}"`;
    const uuid = row?.after?.find(([column]) => column === 'u')?.[1];
    expect(Buffer.from(JSON.parse(uuid ?? '""') as string, 'base64')).toHaveLength(16);
    expect(row?.after?.filter(([column]) => column !== 'u')).toEqual([
      ['id', '1'],
      ['six', bytes('20010db8000000000000000000000001')],
      ['four', bytes('c0000201')],
      ['c', JSON.stringify('much '.repeat(100))],
      ['j', JSON.stringify('{"a": 1}')],
    ]);
  });
});
