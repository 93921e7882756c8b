import { describe, expect, it } from 'vitest';
import {
  describeMove,
  describeSurvey,
  keptFrom,
  keptTopics,
} from '../../../../src/operate/cli/position-move.ts';
import type { Checkpoint } from '../../../../src/position.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '4e11fa47-71ca-11e1-9e33-c80aa9429562';

const place = (change: Partial<Checkpoint>): Checkpoint => ({
  version: 3,
  serverUuid: A,
  gtidSet: null,
  file: 'binlog.000009',
  position: 157,
  fileCreated: 1,
  last: null,
  open: [],
  prepared: [],
  topics: {},
  routing: 'r',
  ...change,
});

const open = (transaction: string): Checkpoint['open'] => [
  { transaction, commitUs: null, timestamp: null, tables: { 's.a': { ordinal: 3, keyed: true } } },
];

describe('between two places', () => {
  it('tells of a cut transaction without a GTID that only its place counts', () => {
    const cut = `${A}:binlog%2E000009:1:157`;
    const now = place({ gtidSet: `${A}:1-10`, open: open(cut) });
    const lines = describeMove(now, place({ gtidSet: `${A}:1-12` }));
    expect(lines).toContain(`cut      ${cut}: 3 of its rows are in the log; it has no GTID`);
  });

  it('tells which transactions come again and which are skipped, both ways at once', () => {
    const now = place({ gtidSet: `${A}:1-10,${B}:1` });
    const next = place({ gtidSet: `${A}:1-7:12-13` });
    expect(describeMove(now, next)).toBe(
      `  again    ${A}:8-10,${B}:1 (4 transactions)\n  skipped  ${A}:12-13 (2 transactions)\n`,
    );
    expect(describeMove(now, now)).toBe('  again    nothing\n  skipped  nothing\n');
  });

  it('tells what becomes of a transaction that is in the log in part', () => {
    const now = place({ gtidSet: `${A}:1-10`, open: open(`${A}:11`) });
    expect(describeMove(now, place({ gtidSet: `${A}:1-10` }))).toContain(
      `again    ${A}:11 from its beginning: 3 of its rows are in the log already`,
    );
    expect(describeMove(now, place({ gtidSet: `${A}:1-11` }))).toContain(
      `cut      ${A}:11: 3 of its rows are in the log, the rest is skipped`,
    );
  });

  it('tells that prepared transactions are searched for from then on', () => {
    const prepared = {
      ...{
        xid: "X'78',X'',1",
        gtid: `${A}:9`,
        commitUs: 1,
        timestamp: 1,
        captured: true,
        at: null,
      },
    };
    const now = place({ gtidSet: `${A}:1-10`, prepared: [prepared] });
    expect(describeMove(now, place({ gtidSet: `${A}:1-9` }))).toContain(
      'prepared 1 XA transaction noted no more: what is committed from there on is searched for',
    );
  });

  it('compares places of one server where there are no GTIDs, file numbers as numbers', () => {
    const now = place({});
    const next = place({ file: 'binlog.1000000', position: 4 });
    expect(describeMove(now, next)).toBe(
      '  again    nothing\n  skipped  what stands from binlog.000009:157 to binlog.1000000:4\n',
    );
    expect(describeMove(next, now)).toBe(
      '  again    what stands from binlog.000009:157 to binlog.1000000:4\n  skipped  nothing\n',
    );
    expect(describeMove(now, place({ serverUuid: B }))).toContain('cannot be told');
  });
});

describe('what was counted between two places', () => {
  const tally = {
    gone: 0n,
    transactions: 0,
    rows: new Map<string, number>(),
    statements: new Map<string, number>(),
    preparedElsewhere: 0,
  };

  it('is told by table, with what is not there any more and where counting ended', () => {
    const rows = new Map([
      ['s.a', 7],
      ['s.b', 1],
    ]);
    expect(
      describeSurvey({
        tallies: {
          again: { ...tally, transactions: 1 },
          skipped: { ...tally, gone: 2n, transactions: 3, rows, preparedElsewhere: 1 },
        },
        stopped: '256 MiB were looked at, up to binlog.000009:157',
      }),
    ).toBe(
      '  again    in the binlog: 1 transaction, no row of a captured table\n' +
        '  skipped  in the binlog: 3 transactions, rows s.a 7, s.b 1\n' +
        '  skipped  XA transactions committed in there whose rows stand before it, not counted: 1\n' +
        '  skipped  not in the binlog any more, or never there: 2 transactions\n' +
        '  counted  not all of it: 256 MiB were looked at, up to binlog.000009:157\n',
    );
  });

  it('names what statements did without rows, and does not call that nothing', () => {
    const statements = new Map([['TRUNCATE TABLE s.a', 2]]);
    const skipped = { ...tally, transactions: 2, statements };
    expect(describeSurvey({ tallies: { again: tally, skipped }, stopped: null })).toBe(
      '  skipped  in the binlog: 2 transactions\n' +
        '  skipped  beside rows, not counted what they changed: TRUNCATE TABLE s.a 2\n',
    );
  });

  it('says nothing where nothing lies between, or nothing can be told', () => {
    expect(describeSurvey({ tallies: { again: tally, skipped: tally }, stopped: null })).toBe('');
    expect(describeSurvey(null)).toBe('');
  });
});

describe('the topics of a log whose place is moved', () => {
  const made = { id: '7', partitions: 3, table: { schema: 'shop', table: 'orders' } };
  const others = [{ schema: 'shop', table: 'lines' }];

  it('stay known with every table, aggregate type and shape', () => {
    const shapes = { '["shop","orders"]': 'abc' };
    const topics = {
      shop: { ...made, others, shapes },
      outbox: { ...made, aggregateType: 'Order' },
    };
    const inLog = ['shop', 'outbox'].map((name) => ({ name, id: '7', partitions: 3 }));
    expect(keptTopics(inLog, { topics })).toEqual(topics);
    // Before the new place they may be there again.
    const gone = { ...topics, shop: { ...topics.shop, dropped: others } };
    expect(keptTopics(inLog, { topics: gone })).toEqual(topics);
  });

  it('are nobody’s where they were made anew, or the checkpoint knew nothing', () => {
    const inLog = [{ name: 'shop', id: '8', partitions: 4 }];
    const unknown = { shop: { id: '8', partitions: 4, table: null } };
    expect(keptTopics(inLog, { topics: { shop: { ...made, others } } })).toEqual(unknown);
    expect(keptTopics(inLog, null)).toEqual(unknown);
  });

  it('do not lose what is hidden in their tables', () => {
    const hiding = [{ schema: 'd', table: 't', columns: ['id', 'mail'], hidden: ['mail'] }];
    const found = place({ position: 200 });
    expect(keptFrom(place({ hiding }), found, [])).toEqual({ ...found, hiding });
    expect(keptFrom(null, found, [])).toEqual(found);
  });
});
