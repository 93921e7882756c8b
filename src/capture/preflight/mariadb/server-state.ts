/** What a MariaDB server says of its own place: identity, GTIDs, binlog files. */

import { RowcallError } from '../../../errors.ts';
import { mariadbServer } from '../../../executed-gtids.ts';
import { type MariadbGtid, MariadbPosition, parseMariadbGtid } from '../../../mariadb-gtid.ts';
import { present } from '../../../shared/assert.ts';
import { FIRST_POSITION } from '../../binlog/event-parser.ts';
import type { SourceConnection } from '../../binlog/source-connection.ts';
import { type BinlogFile, readFiles } from '../server-place.ts';

export interface MariadbState {
  /** What a checkpoint has for a server_uuid. */
  readonly uuid: string;
  /** Of each domain and each server that wrote into it, the last one in the binlog. */
  readonly last: readonly MariadbGtid[];
  /** How far each domain was when the oldest file began: what stood before is purged. */
  readonly purged: MariadbPosition;
  /** Oldest first; never empty. */
  readonly files: readonly BinlogFile[];
}

/** A purge between two questions takes the oldest file away: then they are asked again. */
const ATTEMPTS = 3;

/** @throws RowcallError SOURCE_UNFIT when the server writes no binlog; what a query throws. */
export async function readMariadbState(source: SourceConnection): Promise<MariadbState> {
  for (let attempt = 1; ; attempt += 1) {
    const files = await readFiles(source);
    const oldest = present(files[0], 'the oldest binlog file').name;
    const [row] = await source.query(
      'SELECT @@GLOBAL.server_id AS id, @@GLOBAL.gtid_binlog_state AS state, BINLOG_GTID_POS(?, ?) AS purged',
      [oldest, FIRST_POSITION],
    );
    const { id, state, purged } = present(row, 'the row of a SELECT without FROM');
    if (typeof purged !== 'string' && attempt < ATTEMPTS) continue;
    if (typeof purged !== 'string') {
      throw new RowcallError('POSITION_UNPROVEN', `The source cannot tell where ${oldest} begins`);
    }
    const texts = (state ?? '').split(',').filter((text) => text.trim() !== '');
    return {
      uuid: mariadbServer(id ?? ''),
      last: texts.map(parseMariadbGtid),
      purged: MariadbPosition.parse(purged),
      files,
    };
  }
}

/** Whether it stands, or stood, in the server's binlog: as far as the number of its writer in the domain tells. */
export function hasLogged({ last }: Pick<MariadbState, 'last'>, gtid: MariadbGtid): boolean {
  return last.some(
    ({ domain, server, seq }) =>
      domain === gtid.domain && server === gtid.server && seq >= gtid.seq,
  );
}

/**
 * Where a dump begins that is to send these transactions first, and of other domains nothing that was there. The number
 * before the first of a domain need not exist.
 */
export function justBefore(
  gtids: readonly MariadbGtid[],
  { last }: Pick<MariadbState, 'last'>,
): MariadbPosition {
  const position = new MariadbPosition();
  const asked = new Set(gtids.map(({ domain }) => domain));
  for (const gtid of last) if (!asked.has(gtid.domain)) position.raise(gtid);
  for (const domain of asked) {
    const inDomain = gtids.filter((gtid) => gtid.domain === domain);
    const [first] = inDomain.sort((left, right) => (left.seq < right.seq ? -1 : 1));
    // From the domain's beginning on, it is left out.
    if (first !== undefined && first.seq > 1n) position.add({ ...first, seq: first.seq - 1n });
  }
  return position;
}

/** The end of the log, and how far each domain is there. */
export async function readMariadbEnd(
  source: SourceConnection,
): Promise<{ readonly file: string; readonly position: number; readonly gtids: MariadbPosition }> {
  const [row] = await source.query('SHOW MASTER STATUS');
  if (row === undefined) throw new RowcallError('SOURCE_UNFIT', 'The source writes no binlog');
  const file = row['File'] ?? '';
  const position = Number(row['Position']);
  const gtids = await source.value('SELECT BINLOG_GTID_POS(?, ?)', [file, position]);
  if (gtids === null) {
    throw new RowcallError('POSITION_UNPROVEN', 'The source cannot tell the GTIDs of its end', {
      place: `${file}:${position}`,
    });
  }
  return { file, position, gtids: MariadbPosition.parse(gtids) };
}

/** Whether the server gets transactions from another one. */
export async function isReplica(source: SourceConnection): Promise<boolean> {
  return (await source.query('SHOW ALL SLAVES STATUS')).length > 0;
}
