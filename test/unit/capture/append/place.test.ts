import { describe, expect, it } from 'vitest';
import { Place } from '../../../../src/capture/append/place.ts';
import type { BinlogEvent } from '../../../../src/capture/binlog/binlog-event.ts';
import { formatCheckpoint, parseCheckpoint } from '../../../../src/checkpoint.ts';
import { RowcallError } from '../../../../src/errors.ts';
import type { Checkpoint } from '../../../../src/position.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const server = { uuid: UUID, routing: 'r' };

const start: Checkpoint = {
  version: 3,
  serverUuid: UUID,
  gtidSet: `${UUID}:1-4`,
  file: 'binlog.000001',
  position: 157,
  fileCreated: 100,
  last: null,
  open: [],
  prepared: [],
  topics: {},
  routing: 'r',
};

function gtidEvent(gno: bigint, position: number): Extract<BinlogEvent, { type: 'gtid' }> {
  return {
    type: 'gtid',
    gtid: { uuid: UUID, tag: '', gno },
    commitUs: 1_700_000_000_000_000,
    timestamp: 1_700_000_000,
    serverId: 1,
    bytes: 79,
    file: 'binlog.000001',
    position,
    endPosition: position + 79,
  };
}

/** A row as the handler takes it: asked for, then counted. */
function row(place: Place, name: string, keyed = true): ReturnType<Place['nextRow']> {
  const [schema = '', table = ''] = name.split('.');
  return rowOf(place, { schema, table, name, primaryKey: keyed ? [] : null });
}

function rowOf(
  place: Place,
  table: Parameters<Place['countRow']>[0],
): ReturnType<Place['nextRow']> {
  const numbers = place.nextRow(table);
  place.countRow(table);
  return { ...numbers };
}

const end = { file: 'binlog.000001', position: 400, endPosition: 431 };

describe('the place in the binlog', () => {
  it('adds the GTID at commit and not before', () => {
    const place = new Place(start, server);
    place.begin(gtidEvent(5n, 157));
    row(place, 's.t');
    expect(place.checkpoint()).toMatchObject({ gtidSet: `${UUID}:1-4`, position: 157 });
    place.commit(end);
    expect(place.checkpoint()).toMatchObject({
      gtidSet: `${UUID}:1-5`,
      position: 431,
      open: [],
      last: { gtid: `${UUID}:5`, position: 157 },
    });
  });

  it('moves over what stands between two transactions, and never within one', () => {
    const place = new Place(start, server);
    const at = (position: number, endPosition: number): typeof end => ({
      ...{ file: 'binlog.000001', position, endPosition },
    });
    place.pass(at(157, 197));
    expect(place.dirty).toBe(true);
    expect(place.checkpoint()).toMatchObject({ position: 197, gtidSet: `${UUID}:1-4` });
    // What was made for the dump has no place; what is read again is behind us; another file is not entered yet.
    for (const event of [at(300, 300), at(157, 197), { ...at(4, 900), file: 'binlog.000002' }]) {
      place.pass(event);
      expect(place.filePosition.position).toBe(197);
    }
    expect(place.dirty).toBe(false);
    place.begin(gtidEvent(5n, 197));
    place.pass(at(276, 300));
    expect(place.checkpoint().position).toBe(197);
    place.commit(end);
    place.pass(at(431, 471));
    expect(place.checkpoint().position).toBe(471);
    const elsewhere = new Place(start, { ...server, uuid: '4e11fa47-71ca-11e1-9e33-c80aa9429562' });
    elsewhere.pass(at(157, 197));
    expect(elsewhere.filePosition.position).toBe(157);
  });

  it('names the rows of the open transaction that are in the log', () => {
    const place = new Place(start, server);
    place.begin(gtidEvent(5n, 157));
    row(place, 's.t');
    row(place, 's.t');
    row(place, 's.keyless', false);
    expect(place.checkpoint().open).toEqual([
      {
        transaction: `${UUID}:5`,
        commitUs: 1_700_000_000_000_000,
        timestamp: 1_700_000_000,
        tables: {
          's.t': { ordinal: 2, keyed: true },
          's.keyless': { ordinal: 1, keyed: false },
        },
      },
    ]);
  });

  it('drops the rows of a cut transaction that are in the log, and only those', () => {
    const before = new Place(start, server);
    before.begin(gtidEvent(5n, 157));
    row(before, 's.t');
    row(before, 's.t');
    const place = new Place(before.checkpoint(), server);
    place.begin(gtidEvent(5n, 157));
    expect(row(place, 's.t')).toEqual({ ordinal: 1, total: 1, inLog: true });
    // A checkpoint taken while rows are dropped still knows all that the log has.
    expect(place.checkpoint().open[0]?.tables['s.t']).toEqual({ ordinal: 2, keyed: true });
    expect(row(place, 's.t')).toEqual({ ordinal: 2, total: 2, inLog: true });
    expect(row(place, 's.t')).toEqual({ ordinal: 3, total: 3, inLog: false });
    expect(row(place, 's.u')).toEqual({ ordinal: 1, total: 4, inLog: false });
    place.commit(end);
    expect(place.checkpoint().open).toEqual([]);
  });

  it('takes its place on another server from there, also where the files have one name', () => {
    const other = '4e11fa47-71ca-11e1-9e33-c80aa9429562';
    const last = {
      gtid: `${UUID}:4`,
      file: 'binlog.000001',
      position: 900,
      timestamp: 1,
      commitUs: 2,
    };
    const place = new Place(start, { uuid: other, routing: 'r', last });
    place.enterFile({
      type: 'format-description',
      serverVersion: '9.7.4',
      created: 300,
      checksum: 'crc32',
      timestamp: 300,
      serverId: 2,
      bytes: 122,
      file: 'binlog.000001',
      position: 4,
      endPosition: 126,
    });
    expect(place.checkpoint()).toMatchObject({
      serverUuid: other,
      gtidSet: `${UUID}:1-4`,
      file: 'binlog.000001',
      position: 126,
      fileCreated: 300,
      last,
    });
  });

  it('keeps a cut transaction until it comes, when another server sends others first', () => {
    const before = new Place(start, server);
    before.begin(gtidEvent(6n, 157));
    row(before, 's.t');
    const place = new Place(before.checkpoint(), server);
    place.begin(gtidEvent(5n, 157));
    row(place, 's.t');
    expect(place.checkpoint().open.map((open) => open.transaction)).toEqual([
      `${UUID}:6`,
      `${UUID}:5`,
    ]);
    place.commit(end);
    expect(place.checkpoint().open.map((open) => open.transaction)).toEqual([`${UUID}:6`]);
    place.begin(gtidEvent(6n, 431));
    expect(row(place, 's.t').inLog).toBe(true);
  });

  it('stops when a cut transaction comes again with fewer rows than the log has of it', () => {
    const before = new Place(start, server);
    before.begin(gtidEvent(5n, 157));
    row(before, 's.t');
    const place = new Place(before.checkpoint(), server);
    place.begin(gtidEvent(5n, 157));
    expect(() => {
      place.commit(end);
    }).toThrow(expect.objectContaining({ code: 'POSITION_UNPROVEN' }));
  });

  describe('when a cut transaction comes again under its number', () => {
    const OTHER = '00000000-0000-0000-0000-0000000000ff';
    const first = gtidEvent(5n, 157);
    const cut = (event = first): Checkpoint => {
      const place = new Place(start, server);
      place.begin(event);
      row(place, 's.t');
      return place.checkpoint();
    };
    const unproven = (...times: number[]): Error =>
      expect.objectContaining({
        code: 'POSITION_UNPROVEN',
        message: expect.stringMatching(times.join('.*')) as string,
      }) as Error;

    it.each([server, { ...server, uuid: OTHER }])(
      'stops where it has another commit time, naming both (on $uuid)',
      (on) => {
        const place = new Place(cut(), on);
        expect(() => place.begin({ ...first, commitUs: 1_700_000_000_000_001 })).toThrow(
          unproven(1_700_000_000_000_001, 1_700_000_000_000_000),
        );
      },
    );

    it('compares the timestamp where there is no commit time, on the same server alone', () => {
      const bare = { ...first, commitUs: null };
      const later = { ...bare, timestamp: 1_700_000_009 };
      expect(() => new Place(cut(bare), server).begin(later)).toThrow(
        unproven(1_700_000_009, 1_700_000_000),
      );
      const moved = new Place(cut(bare), { ...server, uuid: OTHER });
      // Taken before it comes again, a checkpoint of the new server has no timestamp of the old one's.
      const again = new Place(moved.checkpoint(), { ...server, uuid: OTHER });
      again.begin(later);
      expect(row(again, 's.t').inLog).toBe(true);
    });

    it('accepts it at another place of another server, whose own timestamp it then keeps', () => {
      const place = new Place(cut(), { ...server, uuid: OTHER });
      place.begin({ ...first, position: 900, timestamp: 1_700_000_009 });
      expect(row(place, 's.t').inLog).toBe(true);
      expect(place.checkpoint().open).toMatchObject([{ timestamp: 1_700_000_009 }]);
    });
  });

  it('counts tables apart whose names are the same once a dot joins them, over a restart too', () => {
    const tables = [
      { schema: 'a.b', table: 'c' },
      { schema: 'a', table: 'b.c' },
      { schema: '["a', table: 'b","c"]' },
      { schema: 'a', table: 'b' },
    ].map((names) => ({ ...names, name: `${names.schema}.${names.table}`, primaryKey: [] }));
    const before = new Place(start, server);
    before.begin(gtidEvent(5n, 157));
    for (const table of tables) expect(rowOf(before, table)).toMatchObject({ ordinal: 1 });
    expect([...(before.transaction?.tables.values() ?? [])].map(({ name }) => name)).toEqual(
      tables.map(({ name }) => name),
    );
    const again = new Place(parseCheckpoint(formatCheckpoint(before.checkpoint())), server);
    again.begin(gtidEvent(5n, 157));
    for (const table of tables) {
      expect(rowOf(again, table)).toMatchObject({ ordinal: 1, inLog: true });
      expect(rowOf(again, table)).toMatchObject({ ordinal: 2, inLog: false });
    }
  });

  it('keeps the place of the last transaction on its own server alone', () => {
    const before = new Place(start, server);
    before.begin(gtidEvent(5n, 157));
    before.commit(end);
    const read = before.checkpoint();
    expect(new Place(read, server).checkpoint().last).toEqual(read.last);
    const elsewhere = new Place(read, { ...server, uuid: 'another' });
    expect(elsewhere.checkpoint()).toMatchObject({ serverUuid: 'another', last: null });
  });

  it('knows a topic by its name alone, even one called as a member of every object is', () => {
    const place = new Place(start, server);
    expect(place.topic('constructor')).toBeUndefined();
    const made = { id: 'x', partitions: 3, table: { schema: 's', table: 't' } };
    place.topicMade('constructor', made);
    const again = new Place(place.checkpoint(), server);
    expect(again.topic('constructor')).toEqual(made);
    expect(again.topic('toString')).toBeUndefined();
  });

  it('have a text that changes with the topics, and their object only then', () => {
    const place = new Place(start, server);
    const before = place.checkpoint();
    expect(place.checkpoint().topics).toBe(before.topics);
    const text = formatCheckpoint(before);
    place.topicMade('late', { id: 'x', partitions: 3, table: null });
    const after = place.checkpoint();
    expect(parseCheckpoint(formatCheckpoint(after))).toEqual(after);
    expect(Object.keys(after.topics)).toContain('late');
    expect(formatCheckpoint(before)).toBe(text);
  });

  it('gives a topic to another table, and says so in the next checkpoint', () => {
    const place = new Place(start, server);
    place.topicMade('t', { id: 'x', partitions: 3, table: null });
    place.checkpoint();
    const table = { schema: 's', table: 't' };
    place.giveTopic('t', table);
    expect(place.dirty).toBe(true);
    expect(place.checkpoint().topics).toEqual({ t: { id: 'x', partitions: 3, table } });
  });

  it('ends a statement that is its own transaction when the next one begins', () => {
    const place = new Place(start, server);
    place.begin(gtidEvent(5n, 157));
    place.begin(gtidEvent(6n, 300));
    expect(place.checkpoint()).toMatchObject({ gtidSet: `${UUID}:1-5`, position: 300 });
  });

  it('refuses a transaction that neither XID nor COMMIT ended', () => {
    const place = new Place(start, server);
    place.begin(gtidEvent(5n, 157)).explicit = true;
    expect(() => place.begin(gtidEvent(6n, 300))).toThrow(RowcallError);
  });

  it('moves to the next file only with its format description, so that file and creation time agree', () => {
    const place = new Place(start, server);
    place.enterFile({
      type: 'format-description',
      serverVersion: '9.7.0',
      created: 0,
      checksum: 'crc32',
      timestamp: 200,
      serverId: 1,
      bytes: 122,
      file: 'binlog.000002',
      position: 4,
      endPosition: 126,
    });
    expect(place.checkpoint()).toMatchObject({
      file: 'binlog.000002',
      position: 126,
      fileCreated: 200,
    });
  });

  it('names transactions by file, creation time and position where the source has no GTIDs', () => {
    const place = new Place({ ...start, gtidSet: null }, server);
    const { id } = place.begin({ ...gtidEvent(5n, 157), gtid: null });
    expect(id).toBe(`${UUID}:binlog%2E000001:100:157`);
    place.commit(end);
    expect(place.checkpoint()).toMatchObject({ gtidSet: null, position: 431 });
  });
});
