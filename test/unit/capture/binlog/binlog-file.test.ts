import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CommandOutput, gather } from '../../../support/cli.ts';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import { tempDir } from '../../../support/temp-dir.ts';
import { makeEvent, makeFormat } from './event-maker.ts';

const MAGIC = Buffer.from([0xfe, 0x62, 0x69, 0x6e]);
const NEW = fixture('mysql-9.7.000001');
const OLD = fixture('mysql-5.6.000001');
const IN_USE = fixture('mysql-9.7-in-use.000002');
const ENCRYPTED = fixture('mysql-9.7-encrypted.000002');

function fixture(name: string): string {
  return new URL(`../../../fixtures/binlogs/${name}`, import.meta.url).pathname;
}

function binlog(...argv: string[]): Promise<CommandOutput> {
  return gather((io) => runCli(['binlog', ...argv], io));
}

interface Line {
  readonly type: string;
  readonly file: string;
  readonly position: number;
  readonly end_position: number;
  readonly gtid: string | null;
  readonly table: string | null;
  readonly rows?: readonly { before: unknown; after: unknown; errors?: unknown }[];
}

async function lines(...argv: string[]): Promise<Line[]> {
  const { out } = await binlog(...argv, '--json');
  return parse(out);
}

function parse(out: string): Line[] {
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

function written(name: string, ...parts: readonly Buffer[]): string {
  const path = join(tempDir(), name);
  writeFileSync(path, Buffer.concat(parts));
  return path;
}

/** Events made by hand behind the magic number and a format description, each at its place. */
function made(events: readonly { code: number; body?: Buffer; flags?: number }[]): Buffer[] {
  const format = makeFormat({ end: 4 + makeFormat().length });
  let end = 4 + format.length;
  const bytes = events.map((event) => {
    end += makeEvent(event).length;
    return makeEvent({ ...event, end });
  });
  return [MAGIC, format, ...bytes];
}

describe('rowcall binlog of a file', () => {
  it('shows every event of MySQL 9 with its place, size, GTID and rows', async () => {
    const events = await lines(NEW);
    let end = 4;
    for (const event of events.filter((line) => !('compressed' in line))) {
      expect(event.position).toBe(end);
      end = event.end_position;
    }
    expect(end).toBe(readFileSync(NEW).length);
    const rows = events.filter(({ table }) => table === 'shop.items').filter(({ rows }) => rows);
    expect(rows.map(({ type }) => type)).toEqual([
      'WRITE_ROWS',
      'UPDATE_ROWS',
      'PARTIAL_UPDATE_ROWS',
      'UPDATE_ROWS',
      'WRITE_ROWS',
      'DELETE_ROWS',
      'WRITE_ROWS',
      'WRITE_ROWS',
      'WRITE_ROWS',
    ]);
    expect(rows[0]?.rows?.[0]?.after).toMatchObject({
      id: 1,
      price: '12.50',
      stamp: '2026-11-21T10:11:12.123456Z',
      length: '-01:02:03.45',
      name: 'café',
      old: 'né',
      raw: 'AP8=',
      kind: 'b,c',
      flags: 'x,y',
    });
    expect(rows[2]?.rows?.[0]?.after).toMatchObject({ doc: { a: [7, 2.5, 'x'] } });
    expect(rows[3]?.rows).toEqual([{ before: { id: 1 }, after: { price: '13.50' } }]);
  });

  it('shows the events of a compressed transaction behind its payload, at its place', async () => {
    const events = await lines(NEW);
    const at = events.findIndex(({ type }) => type === 'TRANSACTION_PAYLOAD');
    const inside = events.slice(at + 1, at + 6);
    expect(inside.map(({ type }) => type)).toEqual([
      'QUERY',
      'ROWS_QUERY',
      'TABLE_MAP',
      'WRITE_ROWS',
      'XID',
    ]);
    expect(new Set(inside.map(({ position }) => position))).toEqual(
      new Set([events[at]?.position]),
    );
  });

  it('shows integers of 64 bits with all their digits', async () => {
    const { out } = await binlog(NEW, '--json');
    expect(out).toContain('"big":-9007199254740993');
  });

  it('names columns @1, @2 where the file has no names, and leaves open what it does not tell', async () => {
    const rows = (await lines(OLD)).filter(({ rows }) => rows !== undefined);
    expect(rows[0]?.rows?.map(({ after }) => after)).toMatchObject([
      {
        '@1': 1,
        '@2': { signed: -1, unsigned: 255 },
        '@4': '12.50',
        '@5': 1.5,
        '@8': '2026-11-21 10:11:12.345',
        '@9': '2026-11-21T10:11:12Z',
        '@10': '-01:02:03.45',
        '@11': 2026,
        '@12': 'plain',
        '@13': 'CODE',
        '@14': { base64: 'AP8=' },
        '@16': 2,
        '@17': 5,
        '@18': 2730,
      },
      { '@1': { signed: -1, unsigned: 4294967295 }, '@12': { base64: 'Y2Fmw6k=' }, '@13': null },
    ]);
    expect(rows.map(({ type }) => type)).toEqual([
      'WRITE_ROWS',
      'UPDATE_ROWS',
      'UPDATE_ROWS',
      'DELETE_ROWS',
      'WRITE_ROWS_V1',
      'UPDATE_ROWS_V1',
      'DELETE_ROWS_V1',
    ]);
  });

  it('reads a file without checksums', async () => {
    const events = await lines(fixture('mysql-5.6-no-checksum.000002'));
    expect(events.map(({ type }) => type)).toEqual([
      'FORMAT_DESCRIPTION',
      'QUERY',
      'TABLE_MAP',
      'WRITE_ROWS',
      'XID',
      'ROTATE',
    ]);
  });

  it('chooses by table, GTID, place and time', async () => {
    const all = await lines(NEW);
    const rows = all.filter(({ table }) => table !== null);
    expect(await lines(NEW, '--table', 'shop.*', '--table', '!*.places')).toEqual(
      rows.filter(({ table }) => table === 'shop.items'),
    );
    const third = all.filter(({ gtid }) => gtid?.endsWith(':3') === true);
    expect(third).toHaveLength(6);
    expect(await lines(NEW, '--gtid', third[0]?.gtid ?? '')).toEqual(third);
    const [first, last] = [third[0]?.position, third.at(-1)?.end_position];
    const file = basename(NEW);
    expect(await lines(NEW, '--from', String(first), '--to', String(last))).toEqual(third);
    const placed = ['--from', `${file}:${String(first)}`, '--to', `${file}:${String(last)}`];
    expect(await lines(NEW, ...placed)).toEqual(third);
    expect(await lines(NEW, '--from', '2100-01-01T00:00:00Z')).toEqual([]);
    const until = (await lines(NEW, '--to', '2024-01-01T00:00:00Z')).map(({ type }) => type);
    // Of the transactions the commit time counts, which no session can set.
    expect(until).toEqual(['FORMAT_DESCRIPTION', 'PREVIOUS_GTIDS', 'ROTATE']);
  });

  it('begins in the file that --from names, and ends in the one that --to names', async () => {
    const folder = tempDir();
    mkdirSync(join(folder, 'logs'));
    const paths = ['binlog.000001', 'binlog.000002', 'binlog.000003'].map((name) => {
      const path = join(folder, 'logs', name);
      writeFileSync(path, readFileSync(OLD));
      return path;
    });
    const events = await lines(
      ...paths,
      '--from',
      'binlog.000002:2826',
      '--to',
      'binlog.000003:120',
    );
    expect(events.map(({ file, position, type }) => `${file}:${position} ${type}`)).toEqual([
      'binlog.000002:2826 ROTATE',
      'binlog.000003:4 FORMAT_DESCRIPTION',
    ]);
  });

  it('prints text without colours unless a terminal reads it', async () => {
    const { out } = await binlog(NEW, '--table', 'shop.items');
    expect(out).toContain('  + id=1  big=-9007199254740993  price="12.50"');
    expect(out).not.toContain('\u001b');
    const { out: coloured } = await gather((io) => runCli(['binlog', NEW], io), { colours: true });
    expect(coloured).toContain('\u001b[32m+ id=1');
  });

  it('never sends what steers a terminal there', async () => {
    const body = Buffer.from('\u0000a \u001b[2J statement\u009b', 'utf8');
    const path = written('binlog.000001', ...made([{ code: 29, body }]));
    const { out } = await binlog(path);
    expect(out).toContain('a \\u001b[2J statement\\u009b');
  });

  it('shows an event that would stop the capture as what it is, and goes on', async () => {
    const incident = Buffer.from([1, 0, 4, ...Buffer.from('lost')]);
    const path = written(
      'binlog.000001',
      ...made([{ code: 26, body: incident }, { code: 99, body: Buffer.alloc(5) }, { code: 3 }]),
    );
    const { code, out } = await binlog(path, '--json');
    expect(code).toBe(0);
    expect(parse(out)).toMatchObject([
      { type: 'FORMAT_DESCRIPTION' },
      { type: 'INCIDENT', code: 26, bytes: 30, detail: 'lost' },
      { type: 'UNKNOWN_99', code: 99, bytes: 28, unread: expect.any(String) as string },
      { type: 'STOP' },
    ]);
  });

  it('reads a compressed transaction over 16 MiB where it lies in the file, and a large event whole', async () => {
    const piece = Buffer.concat([Buffer.of(0), Buffer.alloc(6 * 1024 * 1024, 'q')]);
    const inner = makeEvent({ code: 29, body: piece, checksum: false });
    const payload = Buffer.concat([inner, inner, inner]);
    const length = Buffer.alloc(9, 0xfe);
    length.writeBigUInt64LE(BigInt(payload.length), 1);
    // Fields: not compressed; its size; the end of the fields.
    const fields = [Buffer.from([2, 3, 252, 255, 0]), Buffer.from([1, 9]), length, Buffer.of(0)];
    const body = Buffer.concat([...fields, payload]);
    const path = written(
      'binlog.000001',
      ...made([
        { code: 40, body },
        { code: 29, body: piece },
      ]),
    );
    const events = await lines(path);
    expect(events.map(({ type }) => type)).toEqual([
      'FORMAT_DESCRIPTION',
      'TRANSACTION_PAYLOAD',
      'ROWS_QUERY',
      'ROWS_QUERY',
      'ROWS_QUERY',
      'ROWS_QUERY',
    ]);
    const bytes = readFileSync(path);
    bytes.writeUInt8(1, 17 * 1024 * 1024);
    const damaged = await binlog(written('binlog.000002', bytes), '--json');
    // Nothing of it before its checksum has proven right.
    expect([damaged.code, parse(damaged.out).length]).toEqual([1, 1]);
    expect(damaged.err).toContain('BINLOG_CHECKSUM');
  });

  it('tells why rows cannot be read, shows the rest, and ends with 1', async () => {
    const rows = await lines(OLD);
    const at = rows.find(({ type }) => type === 'WRITE_ROWS')?.position ?? 0;
    const { code, out, err } = await binlog(OLD, '--from', String(at), '--json');
    expect(code).toBe(1);
    expect(err).toContain('BINLOG_ROWS_UNREAD');
    const [first, ...others] = parse(out);
    expect(first).toMatchObject({ rows: [], error: { code: 'BINLOG_ROWS_UNREAD' } });
    expect(others).toEqual(rows.filter(({ position }) => position > at));
  });
});

describe.each(['mariadb-10.11.000001', 'mariadb-11.4.000001'])('%s', (name) => {
  it('is read with GTIDs of every domain, compressed events and an XA transaction', async () => {
    const { code, out } = await binlog(fixture(name), '--json', '--table', 'shop.items');
    expect(code).toBe(0);
    const events = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ rows }) => rows !== undefined);
    const summary = events.map(({ type, gtid, rows }) => [
      type,
      gtid,
      (rows as readonly unknown[]).length,
    ]);
    expect(summary).toEqual([
      ['WRITE_ROWS_V1', '0-5-3', 2],
      ['UPDATE_ROWS_V1', '0-5-4', 1],
      ['DELETE_ROWS_V1', '3-5-1', 1],
      ['WRITE_ROWS_V1', '0-5-5', 1],
      ['WRITE_ROWS_V1', '0-5-5', 1],
      ['MARIADB_WRITE_ROWS_COMPRESSED_V1', '0-5-6', 2],
      ['MARIADB_UPDATE_ROWS_COMPRESSED_V1', '0-5-7', 1],
      ['MARIADB_DELETE_ROWS_COMPRESSED_V1', '0-5-8', 2],
      ['WRITE_ROWS_V1', '0-5-10', 1],
    ]);
  });

  it('shows the transactions that are asked for', async () => {
    const { out } = await binlog(fixture(name), '--json', '--gtid', '3-5-1,0-5-11');
    const types = out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { readonly type: string }).type);
    expect(types).toEqual([
      ...['MARIADB_GTID', 'MARIADB_ANNOTATE_ROWS', 'TABLE_MAP', 'DELETE_ROWS_V1', 'XID'],
      ...['MARIADB_GTID', 'QUERY'],
    ]);
  });
});

describe('a binlog file that is not whole', () => {
  it('ends where it ends while it is still being written', async () => {
    const { code, err } = await binlog(IN_USE);
    expect(code).toBe(0);
    expect(err).toContain('still being written');
    const bytes = readFileSync(IN_USE);
    const path = written('binlog.000002', bytes.subarray(0, bytes.length - 10));
    const cut = await binlog(path, '--json');
    expect(cut.code).toBe(0);
    expect(cut.err).toMatch(/ends with the first 21 bytes of the event at binlog\.000002:705/);
    expect(parse(cut.out)).toHaveLength((await lines(IN_USE)).length - 1);
  });

  it('is cut at every other end, with the place of the event that it ends in', async () => {
    const bytes = readFileSync(NEW);
    const path = written('binlog.000001', bytes.subarray(0, 1600));
    const { code, out, err } = await binlog(path, '--json');
    expect(code).toBe(3);
    expect(JSON.parse(err)).toMatchObject({ code: 'BINLOG_FILE_CUT', place: `${path}:1550` });
    expect(parse(out).at(-1)).toMatchObject({ type: 'TABLE_MAP' });
    // Behind an event, and within a transaction.
    const between = await binlog(written('binlog.000002', bytes.subarray(0, 1748)));
    expect([between.code, between.err]).toEqual([
      3,
      expect.stringContaining('ends within a transaction') as string,
    ]);
  });

  it.each([
    ['a text', Buffer.from('hello, world'), 'BINLOG_FILE_FOREIGN'],
    ['nothing', Buffer.alloc(0), 'BINLOG_FILE_FOREIGN'],
    ['the magic number alone', MAGIC, 'BINLOG_FILE_CUT'],
    ['an encrypted file', readFileSync(ENCRYPTED), 'binlog_encryption'],
    ['the beginning of one', readFileSync(ENCRYPTED).subarray(0, 7), 'binlog_encryption'],
    ['an event of no format', Buffer.concat([MAGIC, makeEvent({ code: 3 })]), 'no format desc'],
  ])('is named where it is %s', async (_what, bytes, expected) => {
    const { code, err } = await binlog(written('binlog.000001', bytes));
    expect([code, err]).toEqual([3, expect.stringContaining(expected) as string]);
    expect(err).not.toMatch(/^ {4}at /m);
  });

  it('is named where it is encrypted from a place on, and where a replica received it', async () => {
    const encrypted = written('binlog.000001', ...made([{ code: 164, body: Buffer.alloc(17) }]));
    expect((await binlog(encrypted)).err).toContain('START_ENCRYPTION');
    const relay = Buffer.from(makeFormat());
    relay.writeUInt16LE(0x40, 17);
    expect((await binlog(written('relay.000001', MAGIC, resealed(relay)))).err).toContain(
      'relay log of a replica',
    );
  });

  it('is damaged at the place told', async () => {
    const bytes = Buffer.from(readFileSync(NEW));
    bytes.writeUInt8(bytes.readUInt8(1560) ^ 1, 1560);
    const path = written('binlog.000001', bytes);
    const { code, err, out } = await binlog(path);
    expect([code, err]).toEqual([1, expect.stringContaining(`at    ${path}:1550`) as string]);
    expect(out).toContain('binlog.000001:1346');
    // A length that is bent in a file that is in use is damage, not its end.
    const open = Buffer.from(readFileSync(IN_USE));
    open.writeUInt32LE(1_000_000, 705 + 9);
    const bent = await binlog(written('binlog.000002', open));
    expect([bent.code, bent.err]).toEqual([
      3,
      expect.stringContaining('no event begins there') as string,
    ]);
  });

  it('cannot be opened', async () => {
    const missing = await binlog('/no/such/binlog.000001');
    expect([missing.code, missing.err]).toEqual([
      2,
      expect.stringContaining('BINLOG_FILE_UNREADABLE') as string,
    ]);
    expect((await binlog(tempDir())).err).toContain('not a regular file');
  });

  it.each([
    [['--from', 'yesterday:x', '-c', 'x.yaml', 'file'], 'Files and -c'],
    [[], 'No binlog is named'],
    [['--from', '2026-11-21T10:00:00', 'x'], 'no time with a zone'],
    [['--from', '10', 'x', 'y'], 'A position alone'],
    [['--gtid', 'nonsense', 'x'], 'GTID_SET_INVALID'],
  ])('is not looked for when the command line is wrong: %j', async (argv, expected) => {
    const { code, err } = await binlog(...argv);
    expect([code > 1, err]).toEqual([true, expect.stringContaining(expected) as string]);
  });
});

/** The checksum anew. */
function resealed(event: Buffer): Buffer {
  return makeEvent({
    code: event.readUInt8(4),
    body: event.subarray(19, event.length - 4),
    end: event.readUInt32LE(13),
    flags: event.readUInt16LE(17),
  });
}
