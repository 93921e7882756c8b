import { describe, expect, it } from 'vitest';
import { formatCheckpoint, parseCheckpoint } from '../../src/checkpoint.ts';
import type { Checkpoint } from '../../src/position.ts';

const UUID = '00000000-0000-0000-0000-00000000000a';

const CHECKPOINT: Checkpoint = {
  version: 3,
  serverUuid: UUID,
  gtidSet: `${UUID}:1-5`,
  file: 'binlog.000003',
  position: 2 ** 40,
  fileCreated: 1_700_000_000,
  last: {
    gtid: `${UUID}:5`,
    file: 'binlog.000003',
    position: 157,
    timestamp: 1_700_000_001,
    commitUs: 1_700_000_001_123_456,
  },
  open: [
    {
      transaction: `${UUID}:6`,
      commitUs: 1_700_000_002_123_456,
      timestamp: 1_700_000_002,
      tables: { '__proto__.t': { ordinal: 7, keyed: true } },
    },
    { transaction: `${UUID}:7`, commitUs: null, timestamp: null, tables: {} },
  ],
  prepared: [
    {
      xid: "X'00ff',X'',1",
      gtid: `${UUID}:3`,
      commitUs: 1_700_000_000_123_456,
      timestamp: 1_700_000_000,
      captured: true,
      at: { file: 'binlog.000002', position: 157, fileCreated: 1_600_000_000 },
    },
    { xid: "X'',X'',1", gtid: null, commitUs: null, timestamp: 0, captured: false, at: null },
  ],
  topics: {
    'shop.d.t': { id: 'x', partitions: 8, table: { schema: 'd', table: 't' } },
    everything: { id: 'y', partitions: 1, table: null },
    shared: {
      ...{ id: 'z', partitions: 1, table: { schema: 'd', table: 'a' } },
      others: [{ schema: 'd', table: 'b' }],
      shapes: { '["d","a"]': 'hash' },
    },
  },
  hiding: [{ schema: 'd', table: 't', columns: ['id', '__proto__'], hidden: ['__proto__'] }],
  routing: 'abc',
};

describe('a checkpoint', () => {
  it('is read back as it was written', () => {
    expect(parseCheckpoint(formatCheckpoint(CHECKPOINT))).toEqual(CHECKPOINT);
    const bare: Checkpoint = { ...CHECKPOINT, gtidSet: null, last: null, open: [], topics: {} };
    expect(parseCheckpoint(formatCheckpoint(bare))).toEqual(bare);
  });

  it('of the first version is read, with the tables of its topics unknown', () => {
    const text = JSON.stringify({
      ...CHECKPOINT,
      prepared: undefined,
      version: 1,
      topics: { 'shop.d.t': { id: 'x', partitions: 8 } },
    });
    expect(parseCheckpoint(text)).toEqual({
      ...CHECKPOINT,
      prepared: [],
      topics: { 'shop.d.t': { id: 'x', partitions: 8, table: null } },
    });
    expect(() => parseCheckpoint(text.replace('"partitions"', '"partition"'))).toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_UNREADABLE' }) as Error,
    );
  });

  it('of the second version is read: no XA transaction was open then', () => {
    const text = JSON.stringify({ ...CHECKPOINT, prepared: undefined, version: 2 });
    expect(parseCheckpoint(text)).toEqual({ ...CHECKPOINT, prepared: [] });
  });

  it.each<[string, object]>([
    ['version', { version: 4 }],
    ['prepared', { prepared: undefined }],
    ['prepared.0.at.file', { prepared: [{ ...CHECKPOINT.prepared[0], at: { position: 4 } }] }],
    ['prepared.0.gtid', { prepared: [{ ...CHECKPOINT.prepared[0], gtid: 'nonsense' }] }],
    ['topics.t.table', { topics: { t: { id: 'x', partitions: 1 } } }],
    ['gtidSet', { gtidSet: 'nonsense' }],
    ['gtidSet', { gtidSet: undefined }],
    ['position', { position: 3 }],
    ['position', { position: 2 ** 53 }],
    ['position', { position: 10.5 }],
    ['position', { position: '10' }],
    ['file', { file: '' }],
    ['last.gtid', { last: { ...CHECKPOINT.last, gtid: `${UUID}:1-5` } }],
    ['open', { open: null }],
    [
      'open.0.tables.d.t.ordinal',
      { open: [{ ...CHECKPOINT.open[0], tables: { 'd.t': { ordinal: -1, keyed: true } } }] },
    ],
    ['open.0.commitUs', { open: [{ ...CHECKPOINT.open[0], commitUs: undefined }] }],
    ['open.0.timestamp', { open: [{ ...CHECKPOINT.open[0], timestamp: -1 }] }],
    ['more', { more: 1 }],
  ])('is refused when %s is off', (name, change) => {
    const text = JSON.stringify({ ...CHECKPOINT, ...change });
    expect(() => parseCheckpoint(text)).toThrow(
      expect.objectContaining({
        code: 'CHECKPOINT_UNREADABLE',
        message: expect.stringContaining(name) as string,
      }) as Error,
    );
  });

  it.each(['', 'null', '[]', '{', '1'])('is refused as %j', (text) => {
    expect(() => parseCheckpoint(text)).toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_UNREADABLE' }) as Error,
    );
  });
});
