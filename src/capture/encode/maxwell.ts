/**
 * Maxwell's JSON (maxwells-daemon.io/dataformat), as with output_commit_info=false and positions, GTID, server and
 * thread ids put out: `xid` and `commit` stand behind the rows in the binlog, and rows are written as they are read.
 */

import { HEADER_FORMAT, HEADER_SOURCE } from '../../change-event.ts';
import { RowcallError } from '../../errors.ts';
import { MAXWELL_KEY_PREFIX } from '../../event-format.ts';
import { textOf } from '../decode/json-text.ts';
import type { RowImage } from '../decode/rows.ts';
import { type FormatMaker, labelsOf, type RowTexts } from './format.ts';

/** Of a TRUNCATE or DROP Maxwell has no event of its own: it is called as those of DDL are, which have no data either. */
const TYPES = { c: 'insert', u: 'update', d: 'delete', r: 'bootstrap-insert', t: 'table-truncate' };

export const maxwell: FormatMaker = ({ table, columns }) => {
  const place = `"database":${JSON.stringify(table.schema)},"table":${JSON.stringify(table.table)}`;
  return {
    keyStart: `{${place},`,
    keyPrefix: MAXWELL_KEY_PREFIX,
    write: (sink, row, { operation, before, after }) => {
      const data = after ?? before;
      sink.add(`{${place},"type":"${TYPES[operation]}"${happening(row)}`);
      if (data !== null) {
        sink.add(',"data":');
        sink.addImage(row, data);
      }
      if (before !== null && after !== null) {
        requireSameColumns(row, before, after);
        const old = columns.filter(({ index }) => differ(before[index], after[index]));
        sink.add(',"old":');
        sink.addImage({ labels: labelsOf(old) }, before);
      }
      sink.add('}');
      return [
        [HEADER_FORMAT, 'maxwell'],
        [HEADER_SOURCE, row.source],
      ];
    },
  };
};

/** When and where it was: seconds, and the row's number in its transaction from 0. */
function happening({ context }: RowTexts): string {
  const { commitUs, file, pos, gtid, serverId, thread, totalOrder } = context;
  return (
    `,"ts":${Math.floor(commitUs / 1_000_000)},"xoffset":${totalOrder - 1}` +
    `,"position":${JSON.stringify(`${file}:${pos}`)}` +
    (gtid === null ? '' : `,"gtid":${JSON.stringify(gtid)}`) +
    `,"server_id":${serverId}${thread === null ? '' : `,"thread_id":${thread}`}`
  );
}

function differ(one: RowImage[number], other: RowImage[number]): boolean {
  if (one === undefined || other === undefined || one === other) return one !== other;
  if (typeof one !== 'string' && typeof other !== 'string') {
    if (one.byteLength !== other.byteLength) return true;
  }
  return textOf(one) !== textOf(other);
}

/** `old` tells what changed: of a column that one image lacks it cannot. */
function requireSameColumns(
  { labels, context }: RowTexts,
  before: RowImage,
  after: RowImage,
): void {
  if (labels.every(({ index }) => (before[index] === undefined) === (after[index] === undefined))) {
    return;
  }
  throw new RowcallError(
    'ROW_IMAGE_PARTIAL',
    "The images of an update have different columns, which Maxwell's format cannot tell",
    { place: `${context.file}:${context.pos}` },
  );
}
