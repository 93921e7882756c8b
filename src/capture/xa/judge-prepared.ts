/** What doctor says of the XA transactions that the checkpoint names as prepared. */

import { type Checkpoint, formatPlace, type PreparedTransaction } from '../../position.ts';
import type { SourceRow } from '../binlog/source-connection.ts';
import type { Finding } from '../preflight/check-source.ts';
import type { ServerPlace } from '../preflight/server-place.ts';
import { listed } from '../preflight/tables-seen.ts';
import { isGone } from './purged-prepared.ts';
import { LONG_MS } from './prepared-watch.ts';
import { formatXid } from './xid.ts';

const CHECK = 'prepared XA transactions';
const BY_HAND =
  'end each by its name, XA COMMIT or XA ROLLBACK, as its transaction manager decided';

export interface PreparedSight {
  readonly server: ServerPlace;
  /** The rows of XA RECOVER CONVERT XID; null where the account may not ask. */
  readonly recovered: readonly SourceRow[] | null;
  readonly nowMs: number;
}

/** At most one finding of each kind, however many there are. */
export function judgePrepared(
  { prepared, serverUuid }: Pick<Checkpoint, 'prepared' | 'serverUuid'>,
  { server, recovered, nowMs }: PreparedSight,
): Finding[] {
  const same = server.uuid === serverUuid;
  const captured = prepared.filter((each) => each.captured);
  const gone = captured.filter((each) => isGone(each, server, same));
  const long = captured.filter(({ timestamp }) => nowMs - timestamp * 1000 >= LONG_MS);
  const there = recovered === null ? null : new Set(recovered.map(xidOf));
  const unlisted = there === null ? [] : captured.filter(({ xid }) => !there.has(xid));
  return [
    ...found(gone, 'whose rows are purged', {
      want: 'the binlog kept from where each was prepared on',
      why: 'An XA COMMIT of it stops the capture (XA_PREPARE_MISSING), an XA ROLLBACK does not: its rows cannot be read any more.',
      sql: `-- restore the binlog files, or roll it back and let the application do it again`,
      severity: 'warning',
    }),
    ...found(long, `for over ${LONG_MS / 60_000} minutes, the oldest ${since(long)}`, {
      want: 'none for long',
      why: 'Their rows are captured at XA COMMIT, and the binlog is needed from the oldest on until then: the server purges it all the same. Their locks hold others up.',
      sql: `-- ${BY_HAND}`,
      severity: 'warning',
    }),
    ...found(unlisted, 'that XA RECOVER does not list', {
      want: 'listed there until their end is read',
      why: 'Their end is not read yet. Or there is none in the binlog: the source dropped them when it recovered from a crash, or ended them with sql_log_bin = 0. Then they stay noted, and nothing is lost.',
      sql: '-- once capture is at the end of the log: rowcall position set to the place it has reached forgets them',
      severity: 'note',
    }),
  ];
}

function found(
  which: readonly PreparedTransaction[],
  how: string,
  rest: Omit<Finding, 'check' | 'value'>,
): Finding[] {
  if (which.length === 0) return [];
  const names = which.map(({ xid }) => xid);
  return [{ check: CHECK, value: `${which.length} ${how}: ${listed(names)}`, ...rest }];
}

function since([oldest]: readonly PreparedTransaction[]): string {
  if (oldest === undefined) return '';
  const { at, gtid, timestamp } = oldest;
  const place = at === null ? (gtid ?? '') : formatPlace(at);
  return `at ${place} since ${new Date(timestamp * 1000).toISOString()}`;
}

/** `data` is 0x and both parts, one behind the other. */
function xidOf(row: SourceRow): string {
  const hex = (row['data'] ?? '').slice(2).toLowerCase();
  const end = 2 * Number(row['gtrid_length']);
  return formatXid(hex.slice(0, end), hex.slice(end), BigInt(row['formatID'] ?? 0));
}
