/** Which of the source's servers is read: the first, in order of preference, on which we may go on. */

import { type ErrorCode, RowcallError } from '../../errors.ts';
import type { SourceServer } from '../binlog/source-server.ts';
import { formatLacked, lackedBy } from './mariadb/lacked.ts';
import { MariadbLacksError } from './mariadb/prove-position.ts';
import type { ProvenPlace } from './prove-place.ts';
import { ServerLacksError } from './prove-sets.ts';

/** A server that was asked, and why it is not read. */
export interface PassedOver {
  readonly server: SourceServer;
  readonly failure: RowcallError;
}

export interface ChosenServer<T> {
  readonly server: SourceServer;
  readonly found: T;
  /** Better ones that could not be taken. */
  readonly passed: readonly PassedOver[];
}

/**
 * What speaks against one server and not against another. POSITION_UNPROVEN is not among them: numbers that were
 * given to two transactions may have been so on every server that replicates.
 */
const OF_THE_SERVER: ReadonlySet<ErrorCode> = new Set([
  'SOURCE_UNFIT',
  'SOURCE_ACCESS_DENIED',
  'SOURCE_UNREACHABLE',
  'SOURCE_QUERY_FAILED',
  'SOURCE_TLS',
  'SOURCE_LOST',
  'SOURCE_SILENT',
  'SOURCE_BEHIND',
  'BINLOG_DUMP_REFUSED',
  'GTID_NOT_SUBSET',
  'POSITION_PURGED',
  'SERVER_CHANGED',
  'KEYLESS_TABLE_CUT',
]);

/**
 * Tries one server after another. When none will do, the error is one that may be tried again as long as any of
 * them may: a server that cannot be reached may have what the others lack.
 *
 * @throws RowcallError the only server's own; of several the first that may pass, else the first, with what each
 *   of them said; at once whatever is not about a server
 */
export async function chooseServer<T>(
  servers: readonly SourceServer[],
  attempt: (server: SourceServer) => Promise<T>,
): Promise<ChosenServer<T>> {
  const passed: PassedOver[] = [];
  for (const server of servers) {
    try {
      return { server, found: await attempt(server), passed };
    } catch (error) {
      if (!(error instanceof RowcallError) || !OF_THE_SERVER.has(error.code)) throw error;
      passed.push({ server, failure: error });
    }
  }
  throw noneUsable(passed);
}

function noneUsable(passed: readonly PassedOver[]): RowcallError {
  const [first] = passed;
  if (first === undefined) return new RowcallError('INTERNAL', 'The source has no server');
  const final = finalOnes(passed);
  const waiting = passed.find((one) => !final.has(one));
  const { failure } = waiting ?? first;
  if (passed.length === 1) return failure;
  const each = passed.map(({ server, failure: { code, message } }) => {
    return `\n- ${server.name}: ${code}: ${message}`;
  });
  // Behind a server that will never have it either, a replica is not behind but without.
  const code =
    waiting === undefined && failure.code === 'SOURCE_BEHIND' ? 'GTID_NOT_SUBSET' : failure.code;
  const { place } = failure;
  return new RowcallError(code, `No server of source.urls can be read:${each.join('')}`, {
    ...(place === undefined ? {} : { place }),
    ...(code === failure.code ? { cure: failure.cure } : {}),
    cause: failure,
  });
}

/** Those that waiting does not help: also a replica whose sources all lack what it lacks, for good. */
function finalOnes(passed: readonly PassedOver[]): ReadonlySet<PassedOver> {
  const final = new Set(passed.filter(({ failure }) => !failure.retriable));
  const lacking = new Set<string>();
  for (;;) {
    const before = final.size;
    for (const { failure } of final) {
      if (failure instanceof ServerLacksError) lacking.add(failure.server.uuid);
    }
    for (const one of passed) {
      if (!(one.failure instanceof ServerLacksError) || one.failure.upstream.group) continue;
      if (one.failure.upstream.uuids.every((uuid) => lacking.has(uuid))) final.add(one);
    }
    if (final.size === before) return final;
  }
}

/**
 * What a better server has that the chosen one has not: written there and not replicated, so that no reader of
 * the chosen one will ever see it, unless that server is repaired. Null where nothing is known of it.
 */
export function errantOn(
  { failure }: PassedOver,
  { executed, logged }: Pick<ProvenPlace, 'executed' | 'logged'>,
): string | null {
  if (failure instanceof MariadbLacksError && logged !== undefined) {
    const lacked = lackedBy(failure.state.last, logged);
    return lacked.length === 0 ? null : formatLacked(lacked);
  }
  if (!(failure instanceof ServerLacksError) || executed === null) return null;
  const errant = failure.server.gtids?.executed.subtract(executed) ?? null;
  return errant === null || errant.isEmpty ? null : errant.toString();
}
