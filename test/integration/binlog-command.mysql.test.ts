import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { RowDataPacket } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../services/command.ts';
import type { MysqlServer } from '../../services/mysql.ts';
import { runCli } from '../../src/operate/cli/cli.ts';
import { gather } from '../support/cli.ts';
import { freshAccount, startOwnMysql, withConnection } from '../support/mysql.ts';
import { tempDir } from '../support/temp-dir.ts';

interface Line {
  readonly type: string;
  readonly file: string;
  readonly position: number;
  readonly end_position: number;
  readonly gtid: string | null;
  readonly table: string | null;
  readonly compressed?: true;
  readonly rows?: readonly { readonly before: Image | null; readonly after: Image | null }[];
}
type Image = Readonly<Record<string, unknown>>;

/** Of this file alone: all of its binlog is compared. */
let server: MysqlServer;
let files: readonly string[];
let folder: string;
let config: string;

const WORK = [
  'CREATE DATABASE shop',
  'USE shop',
  'CREATE TABLE plain (id INT PRIMARY KEY, big BIGINT, price DECIMAL(12,3), at DATETIME(3), day DATE, length TIME(2), y YEAR, name VARCHAR(40), f DOUBLE)',
  "INSERT INTO plain VALUES (1, -9007199254740993, -12.500, '2026-11-21 10:11:12.345', '2026-02-28', '-01:02:03.45', 2026, 'one', 2.5), (2, NULL, NULL, NULL, NULL, NULL, NULL, '', NULL)",
  "INSERT INTO plain (id, name) WITH RECURSIVE n AS (SELECT 10 i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, CONCAT('row ', i) FROM n",
  "UPDATE plain SET name = 'changed', price = 1 WHERE id < 20",
  'SET SESSION binlog_row_image = MINIMAL',
  "UPDATE plain SET name = 'minimal' WHERE id = 1",
  'SET SESSION binlog_row_image = FULL',
  'DELETE FROM plain WHERE id > 890',
  'SET SESSION binlog_transaction_compression = ON',
  "UPDATE plain SET name = 'compressed' WHERE id < 300",
  'SET SESSION binlog_transaction_compression = OFF',
  ...["XA START 'x', 'b', 7", "INSERT INTO plain (id, name) VALUES (1500, 'prepared')"],
  ...["XA END 'x', 'b', 7", "XA PREPARE 'x', 'b', 7"],
  "INSERT INTO plain (id, name) VALUES (1501, 'between')",
  "XA COMMIT 'x', 'b', 7",
  'CREATE TABLE copied SELECT id, name FROM plain WHERE id < 15',
  'FLUSH BINARY LOGS',
  'INSERT INTO plain (id) VALUES (2000)',
  'TRUNCATE plain',
  'FLUSH BINARY LOGS',
];

beforeAll(async () => {
  server = await startOwnMysql({ fast: true, args: ['--binlog-row-event-max-size=1024'] });
  folder = tempDir();
  await withConnection(server.url, async (connection) => {
    await connection.query('RESET BINARY LOGS AND GTIDS');
    for (const sql of WORK) await connection.query(sql);
    const [rows] = await connection.query<RowDataPacket[]>('SHOW BINARY LOGS');
    const names = rows.map((row) => String(row['Log_name'])).slice(0, -1);
    files = names.map((name) => join(folder, name));
  });
  for (const name of files.map((file) => basename(file))) {
    await mysqlbinlog('--read-from-remote-server', '--raw', `--result-file=${folder}/`, name);
  }
  const account = await freshAccount(['REPLICATION SLAVE, REPLICATION CLIENT ON *.*'], server.url);
  config = join(folder, 'rowcall.yaml');
  writeFileSync(
    config,
    [
      'name: looking',
      `source: { url: ${JSON.stringify(account)} }`,
      'tables: [{ match: shop.* }]',
      'callbacks: []',
    ].join('\n'),
  );
});

async function mysqlbinlog(...more: readonly string[]): Promise<string[]> {
  const { command, args } = server.tool('mysqlbinlog');
  const lines: string[] = [];
  const result = await runCommand(command, [...args, ...more], {
    onLine: (line) => lines.push(line),
  });
  expect(result.code, result.stderr).toBe(0);
  return lines;
}

async function ours(...argv: readonly string[]): Promise<Line[]> {
  const { code, out, err } = await gather((io) => runCli(['binlog', ...argv, '--json'], io));
  expect([code, err]).toEqual([0, '']);
  return parse(out);
}

function parse(out: string): Line[] {
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

/** What MySQL's own program prints of a file: each event, and each row of all of them. */
interface Theirs {
  readonly events: readonly (readonly [type: string, position: number, end: number])[];
  readonly gtids: readonly string[];
  readonly rows: readonly (readonly [operation: string, table: string, Image, Image])[];
}

const TYPES: readonly (readonly [RegExp, string])[] = [
  [/^Start: binlog/, 'FORMAT_DESCRIPTION'],
  [/^Previous-GTIDs/, 'PREVIOUS_GTIDS'],
  [/^GTID/, 'GTID'],
  [/^Query/, 'QUERY'],
  [/^Table_map/, 'TABLE_MAP'],
  [/^Write_rows/, 'WRITE_ROWS'],
  [/^Update_rows/, 'UPDATE_ROWS'],
  [/^Delete_rows/, 'DELETE_ROWS'],
  [/^Xid/, 'XID'],
  [/^XA PREPARE/, 'XA_PREPARE'],
  [/^Rotate/, 'ROTATE'],
  [/^Transaction_Payload/, 'TRANSACTION_PAYLOAD'],
];

async function theirs(file: string): Promise<Theirs> {
  const lines = await mysqlbinlog(
    '--base64-output=DECODE-ROWS',
    '-vv',
    '--verify-binlog-checksum',
    file,
  );
  return {
    events: eventsOf(lines),
    gtids: lines.flatMap((line) => /GTID_NEXT= '([^']+:\d+)'/.exec(line)?.[1] ?? []),
    rows: rowsOfText(lines),
  };
}

function eventsOf(lines: readonly string[]): [type: string, position: number, end: number][] {
  let at = 0;
  return lines.flatMap((line) => {
    at = Number(/^# at (\d+)$/.exec(line)?.[1] ?? at);
    const [, end, text = ''] = /^#\d{6} .* end_log_pos (\d+) CRC32 \S+ \t(.*)$/.exec(line) ?? [];
    if (end === undefined) return [];
    const type = TYPES.find(([pattern]) => pattern.test(text))?.[1] ?? line;
    return [[type, at, Number(end)]];
  });
}

function rowsOfText(lines: readonly string[]): Theirs['rows'] {
  const rows: [string, string, Record<string, unknown>, Record<string, unknown>][] = [];
  let image: Record<string, unknown> = {};
  for (const line of lines) {
    const [, operation, schema = '', table = ''] =
      /^### (INSERT INTO|UPDATE|DELETE FROM) `(.*)`\.`(.*)`$/.exec(line) ?? [];
    if (operation !== undefined) rows.push([operation, `${schema}.${table}`, {}, {}]);
    const [, , before = {}, after = {}] = rows.at(-1) ?? [];
    if (line === '### WHERE') image = before;
    if (line === '### SET') image = after;
    Object.assign(image, valueOf(line));
  }
  return rows;
}

/** A line `###   @2=NULL` as a column and its value; nothing for any other line. */
function valueOf(line: string): Image {
  const [, column, value] = /^### {3}(@\d+)=(.*?) *\/\* /.exec(line) ?? [];
  return column === undefined || value === undefined ? {} : { [column]: plain(value) };
}

/** A value as text; a negative number stands there with its unsigned twin, a DATE with colons. */
function plain(text: string): string | null {
  if (text === 'NULL') return null;
  const date = /^'(\d{4}):(\d\d):(\d\d)'$/.exec(text)?.slice(1).join('-');
  if (date !== undefined) return date;
  return /^'(.*)'$/.exec(text)?.[1] ?? text.replace(/ \(\d+\)$/, '');
}

const OPERATIONS: Readonly<Record<string, string>> = {
  WRITE_ROWS: 'INSERT INTO',
  UPDATE_ROWS: 'UPDATE',
  DELETE_ROWS: 'DELETE FROM',
};

/** Our rows in the form of theirs: columns by number, values as text. */
function rowsOf(lines: readonly Line[], columns: readonly string[]): Theirs['rows'] {
  const image = (values: Image | null): Image =>
    Object.fromEntries(
      Object.entries(values ?? {}).map(([name, value]) => [
        `@${columns.indexOf(name) + 1}`,
        value === null ? null : String(value as string | number),
      ]),
    );
  return lines.flatMap(({ type, table, rows = [] }) =>
    rows.map(
      ({ before, after }) =>
        [OPERATIONS[type] ?? type, table ?? '', image(before), image(after)] as const,
    ),
  );
}

const PLAIN = ['id', 'big', 'price', 'at', 'day', 'length', 'y', 'name', 'f'];

describe('rowcall binlog beside mysqlbinlog', () => {
  it('shows the same events at the same places, with the same GTIDs', async () => {
    for (const file of files) {
      const [our, their] = [await ours(file), await theirs(file)];
      const outer = our.filter(({ compressed }) => compressed !== true);
      // Theirs shows what is inside a payload at its end, ours at its place.
      const seen = their.events.filter(([, at, end]) => at !== end);
      expect(outer.map((line) => [line.type, line.position, line.end_position])).toEqual(seen);
      expect(our.length).toBe(their.events.length);
      expect(our.filter(({ type }) => type === 'GTID').map(({ gtid }) => gtid)).toEqual(
        their.gtids,
      );
    }
  });

  it('shows the same rows with the same values', async () => {
    const [first = ''] = files;
    const { out } = await gather((io) => runCli(['binlog', first, '--json'], io));
    // JSON.parse would round the large number, which their text does not.
    const exact = parse(out.replaceAll(/"big":(-?\d+)/g, '"big":"$1"'));
    const their = (await theirs(first)).rows;
    const of = (rows: Theirs['rows'], table: string): Theirs['rows'] =>
      rows.filter(([, name]) => name === table);
    const our = rowsOf(exact, PLAIN);
    expect(of(our, 'shop.plain').length).toBeGreaterThan(1000);
    expect(of(our, 'shop.plain')).toEqual(of(their, 'shop.plain'));
    const copied = rowsOf(exact, ['id', 'name']);
    expect(of(copied, 'shop.copied')).toEqual(of(their, 'shop.copied'));
  });

  it('shows of the server what it shows of its files, with the least privileges', async () => {
    const all = (await Promise.all(files.map((file) => ours(file)))).flat();
    const until = ['--to', 'binlog.000003'];
    expect(await ours('-c', config, '--from', 'earliest', ...until)).toEqual(all);
    const second = all.filter(({ file }) => file === 'binlog.000002');
    expect(await ours('-c', config, '--from', 'binlog.000002', ...until)).toEqual(second);
    const [, , third] = second;
    const from = `binlog.000002:${String(third?.position)}`;
    expect(await ours('-c', config, '--from', from, ...until)).toEqual(second.slice(2));
    const gtid = all.findLast(({ table }) => table !== null)?.gtid ?? '';
    const wanted = all.filter((line) => line.gtid === gtid);
    expect(await ours('-c', config, '--gtid', gtid)).toEqual(wanted);
    expect(await ours(...files, '--gtid', gtid)).toEqual(wanted);
  });

  it('finds the file of a time on the server, and begins in its newest one by itself', async () => {
    const argv = ['-c', config, '--from', '2000-01-01T00:00:00Z', '--to', 'binlog.000003'];
    const { out, err } = await gather((io) => runCli(['binlog', ...argv, '--json'], io));
    expect(err).toMatch(
      /^note: the source keeps no binlog of before .*: binlog\.000001 is its oldest\n$/,
    );
    const all = parse(out);
    expect(all).toEqual((await Promise.all(files.map((file) => ours(file)))).flat());
    const newest = await ours('-c', config);
    expect(newest.map(({ file, type }) => `${file} ${type}`)).toContain(
      'binlog.000003 FORMAT_DESCRIPTION',
    );
    expect(await ours('-c', config, '--from', '2100-01-01T00:00:00Z')).toEqual([]);
  });

  it('reads a file that the server is writing', async () => {
    if (server.dataDir === undefined) return;
    const live = join(server.dataDir, 'binlog.000003');
    const { code, err } = await gather((io) => runCli(['binlog', live], io));
    expect([code, err]).toEqual([0, expect.stringContaining('still being written') as string]);
  });

  it('shows of the source no more than the rules let be seen', async () => {
    const hiding = join(folder, 'hiding.yaml');
    const columns =
      '{ mask: [name], hash: { columns: [price], key: a-key-of-the-tests }, exclude: [f] }';
    const text = readFileSync(config, 'utf8');
    writeFileSync(hiding, text.replace('shop.* }', `shop.*, columns: ${columns} }`));
    const all = await ours('-c', hiding, '--from', 'earliest', '--to', 'binlog.000003');
    const plain = await ours('-c', config, '--from', 'earliest', '--to', 'binlog.000003');
    expect(all.map(({ type, position }) => [type, position])).toEqual(
      plain.map(({ type, position }) => [type, position]),
    );
    const seen = (lines: readonly Line[], column: string): Set<unknown> =>
      new Set(
        lines
          .filter(({ table }) => table === 'shop.plain')
          .flatMap(({ rows = [] }) => rows.flatMap(({ before, after }) => [before, after]))
          .flatMap((image) => (image?.[column] === undefined ? [] : [image[column]])),
      );
    expect(seen(plain, 'f')).toEqual(new Set([2.5, null]));
    expect(seen(all, 'f')).toEqual(new Set());
    expect(seen(all, 'name')).toEqual(new Set(['****', null]));
    expect([...seen(all, 'price')]).toEqual([
      expect.stringMatching(/^[0-9a-f]{64}$/),
      null,
      expect.stringMatching(/^[0-9a-f]{64}$/),
    ]);
    expect(seen(all, 'id')).toEqual(seen(plain, 'id'));
  });

  it.each([
    ['a place within an event', ['-c', 'CONFIG', '--from', 'binlog.000001:130'], /--from 130/],
    ['such a place of a file', ['FILE', '--from', '200'], /--from 200/],
    ['a file that is not there', ['-c', 'CONFIG', '--from', 'binlog.000099:4'], /binlog\.000099/],
    ['a table without its schema', ['FILE', '--table', 'plain'], /names no schema/],
  ])('calls %s a mistake in the command', async (_what, argv, message) => {
    const given = argv.map((word) =>
      word.replace('CONFIG', config).replace('FILE', files[0] ?? ''),
    );
    const { code, err } = await gather((io) => runCli(['binlog', ...given], io));
    expect(err).toMatch(message);
    expect([code, err]).toEqual([2, expect.stringContaining('USAGE') as string]);
  });
});
