import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../../src/config/load.ts';
import { printConfig } from '../../../src/config/print.ts';
import { PLAIN_RULE } from './config-file.ts';

const written = {
  name: 'shop',
  source: { url: 'mysql://rowcall:p@db' },
  tables: [
    {
      match: 'a.*',
      key: { order_id: 'id' },
      format: 'cloudevents-binary',
      values: 'debezium',
      bigint: 'string',
      tombstones: true,
      truncate: 'skip',
      columns: {
        include: ['id', 'm', 'h', 't'],
        mask: ['m'],
        hash: { columns: ['h'], key: 'sixteen letters.' },
        truncate: { t: 3 },
      },
    },
    { match: 'b.outbox', outbox: { aggregate_type: 'kind' } },
  ],
};

describe('rules of tables', () => {
  const config = parseConfig(written, '/');

  it('turn every option into its name', () => {
    const [first, second] = config.tables;
    expect(first?.hashColumns?.key.reveal()).toBe('sixteen letters.');
    expect(JSON.parse(JSON.stringify([first, second]))).toEqual([
      {
        match: ['a.*'],
        topic: '{name}.{schema}.{table}',
        key: { order_id: 'id' },
        format: 'cloudevents-binary',
        values: 'debezium',
        bigint: 'string',
        tombstones: true,
        excludeColumns: [],
        includeColumns: ['id', 'm', 'h', 't'],
        maskColumns: ['m'],
        hashColumns: { columns: ['h'], key: '***' },
        truncateColumns: { t: 3 },
        columnTypes: {},
        truncate: 'skip',
        outbox: null,
      },
      {
        ...PLAIN_RULE,
        match: ['b.outbox'],
        topic: '{name}.{aggregate_type}',
        outbox: {
          id: 'id',
          aggregateType: 'kind',
          aggregateId: 'aggregateid',
          type: 'type',
          payload: 'payload',
        },
      },
    ]);
  });

  it('are printed as they are written, without the key of a hash', () => {
    const text = printConfig(config);
    expect(text).not.toContain('sixteen letters.');
    const again = parse(
      text.replaceAll("'***'", 'sixteen letters.').replaceAll('"***"', 'sixteen letters.'),
    ) as object;
    expect(printConfig(parseConfig(again, '/'))).toBe(text);
  });
});
