import { describe, expect, it } from 'vitest';
import type { BinlogEvent } from '../../../../src/capture/binlog/binlog-event.ts';
import { PreparedReading } from '../../../../src/capture/xa/prepared-reading.ts';
import { parseGtid } from '../../../../src/gtid-set.ts';
import type { PreparedTransaction } from '../../../../src/position.ts';
import {
  type EventBody,
  gtidEvent,
  query,
  rows,
  tableMap,
} from '../../../support/binlog-events.ts';

const UUID = '00000000-0000-0000-0000-00000000000a';
const FILE = 'binlog.000001';
const COMMIT_US = 1_700_000_000_000_000;
const SAMPLE = { schema: 'd', table: 't', keyed: true, wide: false, tableId: 90 };

const PREPARED: PreparedTransaction = {
  xid: "X'78',X'',1",
  gtid: `${UUID}:7`,
  commitUs: COMMIT_US,
  timestamp: 1_700_000_000,
  captured: true,
  at: { file: FILE, position: 500, fileCreated: 100 },
};

function place(body: EventBody, timestamp = 1_700_000_000, file = FILE): BinlogEvent {
  return { ...body, file, position: 500, endPosition: 550, serverId: 1, bytes: 50, timestamp };
}

const format = (created: number, file = FILE): BinlogEvent =>
  place({ type: 'format-description', serverVersion: '9', created, checksum: 'crc32' }, 0, file);
const gtid = (text = `${UUID}:7`, commitUs = COMMIT_US): BinlogEvent =>
  place(gtidEvent(parseGtid(text), commitUs));
const prepare = (gtrid = '78'): BinlogEvent =>
  place({ type: 'xa-prepare', xid: { gtrid, bqual: '', formatId: 1 }, onePhase: false });

const START = place(query('d', "XA START X'78',X'',1"));
const MAP = place(tableMap(SAMPLE));
const ROWS = place(rows(SAMPLE, 'insert', [{ id: 1, name: 'x' }]));
const END = place(query('d', "XA END X'78',X'',1"));
const WHOLE = [format(100), gtid(), START, MAP, ROWS, END, prepare()];

/** The events that are its own, up to its end or to what stops the reading. */
function read(events: readonly BinlogEvent[], prepared = PREPARED): readonly BinlogEvent[] {
  const reading = new PreparedReading(prepared);
  const own = events.filter((event) => reading.take(event));
  if (!reading.isOver) throw reading.endedEarly();
  return own;
}

const unproven = expect.objectContaining({ code: 'POSITION_UNPROVEN' }) as Error;

describe('a prepared transaction that is read again', () => {
  it('is what stands from its GTID event to its XA_PREPARE, and nothing behind', () => {
    const own = [START, MAP, ROWS, END];
    expect(read(WHOLE)).toEqual(own);
    expect(read([...WHOLE, gtid(`${UUID}:8`), MAP, ROWS])).toEqual(own);
    const heartbeat = place({ type: 'heartbeat', atFile: FILE, atPosition: 4 });
    expect(read([heartbeat, ...WHOLE])).toEqual(own);
  });

  it('is known by its GTID and commit time alone where its place was on another server', () => {
    const elsewhere = { ...PREPARED, timestamp: 5, at: null };
    expect(read([format(7, 'other.000009'), ...WHOLE.slice(1)], elsewhere)).toHaveLength(4);
  });

  it.each<[string, readonly BinlogEvent[]]>([
    ['another file of the same name', [format(101), ...WHOLE.slice(1)]],
    ['another GTID', [gtid(`${UUID}:8`), ...WHOLE.slice(2)]],
    ['another commit time', [gtid(undefined, COMMIT_US + 1), ...WHOLE.slice(2)]],
    ['no GTID', [place(gtidEvent(null, COMMIT_US)), ...WHOLE.slice(2)]],
    ['the middle of a transaction', WHOLE.slice(3)],
    ['an XA START of another', [gtid(), place(query('d', "XA START X'79',X'',1")), MAP, ROWS]],
    ['no XA START', [gtid(), place(query('d', 'BEGIN')), MAP, ROWS]],
    ['an end of another', [...WHOLE.slice(0, 6), prepare('79')]],
    ['another transaction before its end', [...WHOLE.slice(0, 6), gtid(`${UUID}:8`)]],
    ['the end of the log before its end', WHOLE.slice(0, 6)],
    ['nothing at all', []],
  ])('is refused where there is %s', (_what, events) => {
    expect(() => read(events)).toThrow(unproven);
  });

  it('without a commit time is known by the header of its GTID event, on its own server', () => {
    const old = { ...PREPARED, commitUs: null };
    expect(read(WHOLE, old)).toHaveLength(4);
    expect(() => read(WHOLE, { ...old, timestamp: 5 })).toThrow(unproven);
  });
});
