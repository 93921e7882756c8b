import { describe, expect, it } from 'vitest';
import type { BinlogEvent } from '../../../../src/capture/binlog/binlog-event.ts';
import { TYPE } from '../../../../src/capture/decode/column.ts';
import { textOf } from '../../../../src/capture/decode/json-text.ts';
import {
  isRead,
  type LegibleImage,
  legibleRows,
} from '../../../../src/capture/decode/legible-rows.ts';
import { parseTableMap } from '../../../../src/capture/decode/parse-table-map.ts';
import type { RowsEvent } from '../../../../src/capture/decode/rows.ts';
import type { RowcallError } from '../../../../src/errors.ts';
import {
  field,
  littleEndian,
  msbBits,
  namesField,
  packed,
  rowsBody,
  tableMapBody,
  text,
} from './bytes.ts';

const HEADER = {
  file: 'binlog.000001',
  position: 400,
  endPosition: 500,
  timestamp: 0,
  serverId: 1,
  bytes: 100,
};
const COLUMNS = [
  { name: 'id', type: TYPE.LONGLONG },
  { name: 'name', type: TYPE.VARCHAR, metadata: [160, 0] },
  { name: 'note', type: TYPE.VARCHAR, metadata: [160, 0] },
];
const NAMED = [field(1, msbBits([false])), field(2, packed(255)), namesField(COLUMNS)];
const INVALID = Buffer.from([2, 0xc3, 0x28]);

function inserted(body: Buffer): RowsEvent {
  return {
    type: 'rows',
    operation: 'insert',
    tableId: 1,
    endOfStatement: true,
    body,
    ...HEADER,
  } satisfies BinlogEvent;
}

/** Each row's values as text, `!` and a code where there is none; and what the end was. */
function read(map: Buffer, body: Buffer): { rows: string[][]; refused: RowcallError | null } {
  const rows: string[][] = [];
  const all = legibleRows(inserted(body), parseTableMap(map));
  for (;;) {
    const next = all.next();
    if (next.done === true) return { rows, refused: next.value };
    rows.push(textsOf(next.value.after ?? []));
  }
}

function textsOf(image: LegibleImage): string[] {
  return image.map(
    ({ name, value }) => `${name}=${isRead(value) ? textOf(value) : `!${value.code}`}`,
  );
}

describe('rows for a person', () => {
  it('have the reason in the place of a value that cannot be read, and every other value', () => {
    const body = rowsBody(3, 1, [
      [littleEndian(1, 8), text('one'), text('a')],
      [littleEndian(2, 8), INVALID, text('b')],
      [littleEndian(3, 8), text('three'), null],
    ]);
    expect(read(tableMapBody(COLUMNS, NAMED), body)).toEqual({
      rows: [
        ['id=1', 'name="one"', 'note="a"'],
        ['id=2', 'name=!VALUE_INVALID', 'note="b"'],
        ['id=3', 'name=!VALUE_INVALID', 'note=null'],
      ],
      refused: null,
    });
  });

  it('end with the reason where they are cut', () => {
    const whole = rowsBody(3, 1, [
      [littleEndian(1, 8), text('one'), text('a')],
      [littleEndian(2, 8), text('two'), text('b')],
    ]);
    const { rows, refused } = read(tableMapBody(COLUMNS, NAMED), whole.subarray(0, -3));
    expect(rows).toEqual([['id=1', 'name="one"', 'note="a"']]);
    expect(refused?.code).toBe('BINLOG_EVENT_MALFORMED');
  });

  it('are refused as a whole where a column of unknown width stands among theirs', () => {
    const map = tableMapBody(
      [
        { name: 'id', type: TYPE.LONGLONG },
        { name: 'x', type: 99 },
      ],
      [],
    );
    const { rows, refused } = read(map, rowsBody(2, 1, [[littleEndian(1, 8), null]]));
    expect(rows).toEqual([]);
    expect(refused?.code).toBe('COLUMN_TYPE_UNSUPPORTED');
  });

  it('leave open what a map without metadata leaves open', () => {
    const body = rowsBody(3, 1, [
      [Buffer.alloc(8, 0xff), text('ascii'), INVALID],
      [littleEndian(7, 8), null, text('tab\t"')],
    ]);
    expect(read(tableMapBody(COLUMNS, []), body).rows).toEqual([
      ['@1={"signed":-1,"unsigned":18446744073709551615}', '@2="ascii"', '@3={"base64":"wyg="}'],
      ['@1=7', '@2=null', '@3="tab\\t\\""'],
    ]);
  });
});
