/** The row's columns and nothing else but three members, named as Debezium's ExtractNewRecordState names them. */

import { HEADER_FORMAT, HEADER_SOURCE } from '../../change-event.ts';
import { RowcallError } from '../../errors.ts';
import { FLAT_MEMBERS } from '../../event-format.ts';
import type { FormatMaker } from './format.ts';

export const flat: FormatMaker = ({ table, columns }) => {
  const taken = columns.find(({ name }) => FLAT_MEMBERS.some((member) => member === name));
  if (taken !== undefined) {
    throw new RowcallError(
      'COLUMN_RULE_UNFIT',
      `format: flat has a member ${taken.name} of its own, and so has the table`,
      { place: `table ${table.name}` },
    );
  }
  const [op, time, deleted] = FLAT_MEMBERS;
  return {
    keyStart: '{',
    keyPrefix: '',
    write: (sink, { labels, context, source }, { operation, before, after }) => {
      const gone = operation === 'd';
      // The image without its closing bracket: the three members come behind the columns. A truncate has none.
      if (operation === 't') sink.add('{');
      else sink.addOpenImage({ labels }, gone ? before : after);
      sink.add(`"${op}":"${operation}","${time}":${context.nowMs},"${deleted}":"${String(gone)}"}`);
      return [
        [HEADER_FORMAT, 'flat'],
        [HEADER_SOURCE, source],
      ];
    },
  };
};
