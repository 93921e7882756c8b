import { describe, expect, it } from 'vitest';
import { Place } from '../../../src/capture/append/place.ts';
import { DdlEvents } from '../../../src/capture/ddl-events.ts';
import { createRouter } from '../../../src/capture/route/router.ts';
import type { TableRule } from '../../../src/capture/route/table-rule.ts';
import { formatCheckpoint, parseCheckpoint } from '../../../src/checkpoint.ts';
import type { TableName } from '../../../src/position.ts';
import { silentLogger } from '../../../src/shared/logger.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const AT = { file: 'binlog.000001', position: 4, endPosition: 50 };
const HEADER = { ...AT, timestamp: 1_700_000_000, serverId: 1, bytes: 46 };

interface Scene {
  /** Tables with rows in the log. */
  readonly captured: readonly TableName[];
  readonly rule?: Partial<TableRule>;
  readonly foldNames?: boolean;
  readonly sqlMode?: number;
  /** A BEGIN stands in front. */
  readonly explicit?: boolean;
}

function placeOf(captured: readonly TableName[], topicOf: (table: TableName) => string): Place {
  const start = { file: AT.file, position: 4, fileCreated: 1, last: null, open: [], topics: {} };
  const checkpoint = {
    ...start,
    version: 3,
    prepared: [],
    serverUuid: UUID,
    gtidSet: null,
    routing: 'r',
  } as const;
  const place = new Place(checkpoint, { uuid: UUID, routing: 'r' });
  for (const table of captured) {
    const topic = topicOf(table);
    if (place.topic(topic) !== undefined) place.tableSeen(topic, table);
    else place.topicMade(topic, { id: topic, partitions: 2, table });
  }
  return new Place(parseCheckpoint(formatCheckpoint(place.checkpoint())), {
    uuid: UUID,
    routing: 'r',
  });
}

/** The records of one statement: table and partition, with the end of the id. */
function recordsOf(sql: string, scene: Scene): string[] {
  const { captured, rule = {}, foldNames = false, sqlMode = 0, explicit = false } = scene;
  const rules = [
    { match: ['*.*'], topic: '{schema}.{table}', key: null, excludeColumns: [], ...rule },
  ];
  const template = rules[0]?.topic ?? '';
  const place = placeOf(captured, ({ schema, table }) =>
    template.replace('{schema}', schema).replace('{table}', table),
  );
  const router = createRouter({ name: 'shop', rules });
  for (const [topic, { table }] of place.topics) if (table !== null) router.keepTopic(topic, table);
  const added: string[] = [];
  const ddl = new DdlEvents({
    ...{ name: 'shop', version: '0', place, foldNames, schemaChanges: null },
    appender: {
      add: (topic, partition, { id, table, operation, key }) => {
        added.push(`${topic}/${partition} ${operation} ${table} ${String(key)} ${id.slice(-3)}`);
      },
    },
    router,
    clock: { now: () => 0 },
    logger: silentLogger,
  });
  place.begin({ type: 'gtid', gtid: null, commitUs: 1, ...HEADER });
  const transaction = place.transaction;
  if (transaction !== null) transaction.explicit = explicit;
  ddl.take({ type: 'query', schema: 's', sql, sqlMode, threadId: 1, ...HEADER });
  return added;
}

const of = (...names: string[]): TableName[] => names.map((table) => ({ schema: 's', table }));

describe('a table that was dropped', () => {
  const UNTIL = { uuid: UUID, routing: 'r' };
  const [a, b] = of('a', 'b') as [TableName, TableName];
  const names = (place: Place): unknown => [...place.topics].map(([, made]) => made.dropped);

  it('is told no second time by a DROP DATABASE, until it has rows again', () => {
    const place = placeOf([a, b], ({ schema, table }) => `${schema}.${table}`);
    const router = createRouter({
      name: 'shop',
      rules: [{ match: ['*.*'], topic: '{schema}.{table}', key: null, excludeColumns: [] }],
    });
    for (const [topic, { table }] of place.topics) {
      if (table !== null) router.keepTopic(topic, table);
    }
    const told = (on: Place, sql: string): string[] => {
      const added: string[] = [];
      const ddl = new DdlEvents({
        ...{ name: 'shop', version: '0', place: on, foldNames: false, schemaChanges: null, router },
        appender: { add: (topic) => added.push(topic) },
        clock: { now: () => 0 },
        logger: silentLogger,
      });
      on.begin({ type: 'gtid', gtid: null, commitUs: 1, ...HEADER });
      ddl.take({ type: 'query', schema: 's', sql, sqlMode: 0, threadId: 1, ...HEADER });
      on.commit(AT);
      return [...new Set(added)];
    };
    expect(told(place, 'DROP TABLE a')).toEqual(['s.a']);
    expect(told(place, 'TRUNCATE TABLE b')).toEqual(['s.b']);
    const again = new Place(parseCheckpoint(formatCheckpoint(place.checkpoint())), UNTIL);
    expect(names(again)).toEqual([[a], undefined]);
    expect(told(again, 'DROP DATABASE s')).toEqual(['s.b']);
    expect(told(again, 'DROP DATABASE s')).toEqual([]);
    // A statement that names it is told whatever was known: it may have been made again, without rows.
    expect(told(again, 'DROP TABLE a')).toEqual(['s.a']);
    again.tableSeen('s.a', a);
    expect(told(again, 'DROP DATABASE s')).toEqual(['s.a']);
  });
});

describe('a truncate event', () => {
  it('stands in every partition, of every table that the statement names and that was captured', () => {
    expect(recordsOf('DROP TABLE a, s.b, x.a, c', { captured: of('a', 'b', 'd') })).toEqual([
      's.a/0 t s.a null a:0',
      's.a/1 t s.a null a:0',
      's.b/0 t s.b null b:0',
      's.b/1 t s.b null b:0',
    ]);
  });

  it('is of all captured tables of a database, also where they share a topic', () => {
    const captured = [...of('a', 'b'), { schema: 'x', table: 'a' }];
    const found = recordsOf('DROP DATABASE s', { captured, rule: { topic: 'all' } });
    expect(found.filter((text) => text.startsWith('all/0'))).toEqual([
      'all/0 t s.a null a:0',
      'all/0 t s.b null b:0',
    ]);
  });

  it.each([
    ['no rows were captured', 'TRUNCATE b', {}],
    ['the rule says skip', 'TRUNCATE a', { rule: { truncate: 'skip' as const } }],
    ['the table is not captured any more', 'TRUNCATE a', { rule: { match: ['x.*'] } }],
    ['the statement stands behind BEGIN', 'DROP TABLE a', { explicit: true }],
    ['only some rows are gone', 'ALTER TABLE a TRUNCATE PARTITION p', {}],
    ['double quotes are a text', 'TRUNCATE "a"', {}],
    ['the name is spelled otherwise', 'TRUNCATE A', {}],
  ])('is not there where %s', (_why, sql, scene: Omit<Scene, 'captured'>) => {
    expect(recordsOf(sql, { captured: of('a'), ...scene })).toEqual([]);
  });

  it('follows the session in its quotes, and the server in the case of letters', () => {
    expect(recordsOf('TRUNCATE "a"', { captured: of('a'), sqlMode: 4 })).toHaveLength(2);
    expect(recordsOf('TRUNCATE S.A', { captured: of('a'), foldNames: true })).toEqual([
      's.a/0 t s.a null a:0',
      's.a/1 t s.a null a:0',
    ]);
  });

  it('is not written into the topic of another table that only replaced characters lead to', () => {
    const captured = of('a_b');
    expect(recordsOf('TRUNCATE `a b`', { captured })).toEqual([]);
    expect(recordsOf('TRUNCATE `a_b`', { captured })).toHaveLength(2);
  });
});
