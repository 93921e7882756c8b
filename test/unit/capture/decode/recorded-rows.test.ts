/** Rows that MariaDB wrote, in fixtures that name server, settings and SQL, beside what its SELECT printed. */
import { withToldTypes } from '../../../../src/capture/decode/mariadb-columns.ts';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { OpenType } from '../../../../src/capture/decode/column.ts';
import { textOf } from '../../../../src/capture/decode/json-text.ts';
import { parseTableMap } from '../../../../src/capture/decode/parse-table-map.ts';
import { decodeRows } from '../../../../src/capture/decode/rows.ts';
import type { TableVersion } from '../../../../src/capture/decode/table-map.ts';
import { rowsEvent } from './bytes.ts';

interface Recorded {
  readonly what: string;
  readonly columns: readonly string[];
  readonly tableMap: string;
  readonly rows: string;
  readonly selected: readonly (readonly string[])[];
}

const file = new URL('../../../fixtures/mariadb-rows.json', import.meta.url);
const recorded = JSON.parse(readFileSync(file, 'utf8')) as readonly Recorded[];

function find(what: string): { table: TableVersion; rows: Buffer; selected: Recorded['selected'] } {
  const one = recorded.find((other) => other.what === what);
  if (one === undefined) throw new Error(`There is no fixture of ${what}`);
  const table = parseTableMap(Buffer.from(one.tableMap, 'base64'), 'mariadb');
  return { table, rows: Buffer.from(one.rows, 'base64'), selected: one.selected };
}

/** What the server says of the columns in old formats. */
function typesOf(what: string): ReadonlyMap<string, OpenType> {
  return new Map<string, OpenType>(
    what === OLD
      ? [
          ['a', 'timestamp'],
          ['b', 'datetime'],
          ['c', 'time'],
        ]
      : [
          ['a', 'timestamp(3)'],
          ['b', 'datetime(6)'],
          ['c', 'time(2)'],
        ],
  );
}

function decoded(table: TableVersion, rows: Buffer): readonly (readonly string[])[] {
  return Array.from(decodeRows(rowsEvent('insert', rows), table, table.columns), ({ after }) =>
    (after ?? []).map((json) => textOf(json ?? '')),
  );
}

const OLD = 'the temporal formats of MySQL before 5.6.4';
const VERSIONED = 'a system-versioned table';
const HIRES = 'fractions in the temporal formats of MariaDB 5.3';

describe('rows of MariaDB', () => {
  it.each(recorded.filter(({ what }) => what !== OLD && what !== HIRES))(
    'with $what decode to what SELECT prints',
    ({ what, columns }) => {
      const { table, rows, selected } = find(what);
      expect(table.defect).toBeNull();
      expect(table.columns.map(({ name }) => name)).toEqual(columns);
      expect(decoded(table, rows)).toEqual(selected);
    },
  );

  it('of a table that keeps its history are read once the end of its period is told', () => {
    const { table } = find(VERSIONED);
    expect(table.defect).toBeNull();
    const told = withToldTypes(table, new Map([['row_end', 'row_end']]));
    const names = (index: number | null | undefined): string | undefined =>
      table.columns[index ?? -1]?.name;
    expect(names(told.period?.startIndex)).toBe('row_start');
    expect(names(told.period?.endIndex)).toBe('row_end');
    expect(told.primaryKey?.map(({ column }) => column.name)).not.toContain('row_end');
    expect(told.columns.filter(({ candidates }) => candidates !== undefined)).toEqual([]);
  });

  it('with compressed values that were damaged throw nothing but our errors', () => {
    const { table, rows } = find('COMPRESSED columns');
    for (let at = 0; at < rows.length; at += 1) {
      const damaged = Buffer.from(rows);
      damaged.writeUInt8(rows.readUInt8(at) ^ 0x55, at);
      try {
        decoded(table, damaged);
      } catch (error) {
        expect(error).toMatchObject({
          code: expect.stringMatching(
            /^(?:VALUE_INVALID|BINLOG_EVENT_MALFORMED|ROW_IMAGE_PARTIAL)$/,
          ) as string,
        });
      }
    }
  });

  it('in the temporal formats before 5.6.4 have the same bytes as in MySQL', () => {
    const { table, rows, selected } = find(OLD);
    expect(decoded(withToldTypes(table, typesOf(OLD)), rows)).toEqual(selected);
  });

  it('in the temporal formats of MariaDB 5.3 are read once their digits are told', () => {
    const { table, rows, selected } = find(HIRES);
    expect(decoded(withToldTypes(table, typesOf(HIRES)), rows)).toEqual(selected);
  });

  // A column of TIMESTAMP(3) has the same type code and no word of its seven bytes: read as four, all behind is wrong.
  it.each([OLD, HIRES])('in %s stop where their width is not told', (what) => {
    const { table, rows } = find(what);
    expect(() => decoded(table, rows)).toThrow(
      expect.objectContaining({
        code: 'COLUMN_TYPE_UNSUPPORTED',
        cure: expect.stringContaining('mysql56_temporal_format') as string,
      }),
    );
  });
});
