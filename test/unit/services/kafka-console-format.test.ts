import { expect, test } from 'vitest';
import { producerLines, RecordParser } from '../../../services/kafka/console-format.ts';

const SECOND =
  'CreateTime:7\u001fPartition:1\u001fOffset:9\u001fNO_HEADERS\u001f\u001a\u001f\u001a';

test('records of the console consumer are read across any split of its output', () => {
  const text = `CreateTime:5\u001fPartition:0\u001fOffset:3\u001fa:x:y\u001cb:\u001a\u001fkey\u001fvalue\u001e\u001d${SECOND}\u001e\u001d`;
  for (let at = 0; at <= text.length; at += 1) {
    const parser = new RecordParser();
    const records = [...parser.push(text.slice(0, at)), ...parser.push(text.slice(at))];
    expect(records).toEqual([
      {
        timestamp: 5,
        partition: 0,
        offset: 3,
        headers: [
          ['a', 'x:y'],
          ['b', null],
        ],
        key: 'key',
        value: 'value',
      },
      { timestamp: 7, partition: 1, offset: 9, headers: [], key: null, value: null },
    ]);
    expect(parser.rest).toBe('');
  }
});

test('what is no record of the console consumer is refused', () => {
  expect(() => new RecordParser().push('a warning\u001e\u001d')).toThrow('Not a record');
});

test('a record that the console producer would take for two is refused', () => {
  expect(() => producerLines([{ value: 'a\nb' }])).toThrow('line feed');
});
