/** Where in the source an event stopped the capture, and the command that goes on behind it. */

import { type ErrorCode, RowcallError } from '../errors.ts';
import { formatPlace } from '../position.ts';
import type { Place } from './append/place.ts';
import type { BinlogEvent } from './binlog/binlog-event.ts';

/**
 * What an event can be refused for. `pass`: nothing but moving behind its transaction helps, since what stands in the
 * binlog stays as it is; `mend`: with another configuration it can be read.
 */
const BY_AN_EVENT: ReadonlyMap<ErrorCode, 'pass' | 'mend'> = new Map([
  ['BINLOG_EVENT_UNSUPPORTED', 'pass'],
  ['STATEMENT_LOGGED', 'pass'],
  ['ROW_METADATA_MISSING', 'pass'],
  ['ROW_IMAGE_PARTIAL', 'pass'],
  ['OUTBOX_ROW_INVALID', 'pass'],
  ['BINLOG_EVENT_MALFORMED', 'mend'],
  ['COLUMN_TYPE_UNSUPPORTED', 'mend'],
  ['COLUMN_TYPE_UNPROVEN', 'mend'],
  ['CHARSET_UNSUPPORTED', 'mend'],
  ['VALUE_INVALID', 'mend'],
  ['TOPIC_INVALID', 'mend'],
  ['TOPIC_COLLISION', 'mend'],
  ['KEY_COLUMN_MISSING', 'mend'],
  ['KEY_COLUMN_ALTERED', 'mend'],
  ['COLUMN_RULE_UNFIT', 'mend'],
  ['HIDDEN_COLUMN_RENAMED', 'mend'],
  ['RECORD_TOO_LARGE', 'mend'],
]);

/** `file:position` of any binlog, whatever its base name. */
const FILE_PLACE = /\.\d{6,}:\d+/;

/** The error with file, position and GTID of the event, as far as it does not name them; any other as it is. */
export function locatedError(
  error: unknown,
  event: BinlogEvent,
  place: Pick<Place, 'transaction' | 'gtidSet'>,
): unknown {
  if (!(error instanceof RowcallError)) return error;
  const kind = BY_AN_EVENT.get(error.code);
  if (kind === undefined) return error;
  const behind = kind === 'pass' ? behindTransaction(event, place) : null;
  return new RowcallError(error.code, error.message, {
    place: wherePlaced(error, event, place),
    cure:
      behind === null
        ? error.cure
        : `${error.cure} Behind this transaction, all of which is skipped then: rowcall position set -c FILE ${behind} (shows what that is; with --yes it does it)`,
    cause: error,
  });
}

function wherePlaced(
  error: RowcallError,
  event: BinlogEvent,
  { transaction }: Pick<Place, 'transaction'>,
): string {
  const { place = '' } = error;
  const gtid = transaction?.gtid ?? '';
  const parts = [place];
  if (!FILE_PLACE.test(place)) parts.push(formatPlace(event));
  if (!place.includes(gtid)) parts.push(`GTID ${gtid}`);
  return parts.filter((part) => part !== '').join(', ');
}

/** Without GTIDs the end of a transaction is not known before it is read: its middle is named instead. */
function behindTransaction(
  event: BinlogEvent,
  { transaction, gtidSet }: Pick<Place, 'transaction' | 'gtidSet'>,
): string | null {
  if (transaction === null) return null;
  const { gtid } = transaction.begin;
  if (gtid === null || gtidSet === null) {
    return `--file ${event.file} --position ${event.position}`;
  }
  const set = gtidSet.clone();
  set.add(gtid);
  return `--gtid '${set.toString()}'`;
}
