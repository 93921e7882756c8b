/**
 * Where a dump by GTID begins. Left to itself the server takes the newest file whose PREVIOUS_GTIDS event names nothing
 * that we lack, and never looks at the files before it. They may hold what we lack all the same:
 * - a transaction that was written and not yet counted as executed when its file was ended. An XA COMMIT or XA
 *   ROLLBACK that waits for a semi-synchronous replica is one: https://bugs.mysql.com/bug.php?id=118797
 * - transactions without a GTID, of a time with another gtid_mode: https://bugs.mysql.com/bug.php?id=71529
 */

import { RowcallError } from '../../errors.ts';
import { formatGtid, type Gtid, GtidSet } from '../../gtid-set.ts';
import { type Checkpoint, fileNumber, type FilePosition, formatPlace } from '../../position.ts';
import type { DumpStart } from '../binlog/dump-request.ts';
import { FIRST_POSITION } from '../binlog/event-parser.ts';
import { type DumpAccess, readEvents, readPlace } from './read-place.ts';
import type { ServerPlace } from './server-place.ts';

/**
 * The server's own choice, unless a file that it passes over holds a transaction that is not in the set: then that
 * file. Looked through are the files from the checkpoint's on, where the checkpoint is of this server: all that we
 * lack stands from there on. Elsewhere it is the one file before the server's choice, and `ExecutedCheck` proves the
 * rest. What we have is left out by the server, so that this costs its disk more than the network.
 *
 * @throws RowcallError BINLOG_DUMP_REFUSED: there are transactions without a GTID behind the checkpoint;
 *   SOURCE_BEHIND, POSITION_UNPROVEN: such a transaction is not executed, or its number was given to another; what a
 *   dump throws.
 */
export async function startByGtid(
  gtidSet: GtidSet,
  checkpoint: Pick<Checkpoint, 'serverUuid' | 'file'> | null,
  at: { readonly server: ServerPlace; readonly access: DumpAccess },
  signal: AbortSignal,
): Promise<DumpStart> {
  const { server, access } = at;
  const chosenByServer = { gtidSet };
  const indexOf = (file: string): number => server.files.findIndex(({ name }) => name === file);
  const ours = checkpoint?.serverUuid === server.uuid ? indexOf(checkpoint.file) : -1;
  // Nothing is passed over between the newest file and itself.
  if (ours === server.files.length - 1) return chosenByServer;
  const { file: chosen } = await readPlace(access, chosenByServer, signal);
  const first = server.files[ours < 0 ? indexOf(chosen) - 1 : ours]?.name;
  if (first === undefined || fileNumber(first) >= fileNumber(chosen)) return chosenByServer;
  const passed = { first, end: chosen };
  const lacking = await lackingIn(gtidSet, passed, access, signal).catch((error: unknown) => {
    // On another server nothing tells whether we have read what has no GTID.
    if (ours < 0 && isRefusal(error)) return null;
    throw error;
  });
  if (lacking === null) return chosenByServer;
  requireExecuted(lacking, server);
  await requireOnce(lacking.gtids, chosen, at, signal);
  return { file: lacking.file, position: FIRST_POSITION, except: gtidSet };
}

/** What a range of files holds beside the set, and the first file that does. */
interface Lacking {
  readonly file: string;
  readonly gtids: GtidSet;
}

async function lackingIn(
  gtidSet: GtidSet,
  { first, end }: { readonly first: string; readonly end: string },
  access: DumpAccess,
  signal: AbortSignal,
): Promise<Lacking | null> {
  const start = { file: first, position: FIRST_POSITION, except: gtidSet };
  const gtids = new GtidSet();
  let file: string | null = null;
  for await (const event of readEvents(access, start, signal)) {
    if (fileNumber(event.file) >= fileNumber(end)) break;
    if (event.type !== 'gtid' || event.gtid === null) continue;
    file ??= event.file;
    gtids.add(event.gtid);
  }
  return file === null ? null : { file, gtids };
}

/**
 * An XA COMMIT is written, its file ends, and the server crashes before the engine has it: then the binlog has a commit
 * that never was. Until it counts as executed it cannot be told from one that is on its way.
 */
function requireExecuted({ file, gtids }: Lacking, { gtids: sets }: ServerPlace): void {
  const open = sets === null ? new GtidSet() : gtids.subtract(sets.executed);
  if (open.isEmpty) return;
  throw new RowcallError(
    'SOURCE_BEHIND',
    `The source has written ${open.toString()} and not executed it: it is being committed, or the server has lost it in a crash`,
    {
      place: file,
      cure: 'Nothing to do while it is being committed: a semi-synchronous replica may be waited for. If it was lost in a crash, XA RECOVER on the source shows what is prepared still: end it there, then rowcall position set behind the file named.',
    },
  );
}

/**
 * A server that has lost a commit of an older file in a crash gives its number to another transaction.
 *
 * @param from the file behind the one where the transactions of these numbers stand
 * @throws RowcallError POSITION_UNPROVEN: one of them stands there again; what a dump throws
 */
export async function requireOnce(
  gtids: GtidSet,
  from: string,
  at: { readonly server: ServerPlace; readonly access: DumpAccess },
  signal: AbortSignal,
): Promise<void> {
  for await (const found of gtidEventsOf(gtids, from, at, signal)) {
    throw new RowcallError(
      'POSITION_UNPROVEN',
      `${formatGtid(found.gtid)} stands in the binlog twice: the server lost the first one in a crash and gave its number to another`,
      { place: formatPlace(found) },
    );
  }
}

/**
 * Whether the number of a transaction was used again, where that could be: a file that ended while it was being committed is
 * followed by one that does not name it.
 *
 * @param place where it stands
 * @throws RowcallError as `requireOnce`
 */
export async function requireNotReused(
  gtid: Gtid,
  place: FilePosition,
  at: { readonly server: ServerPlace; readonly access: DumpAccess },
  signal: AbortSignal,
): Promise<void> {
  const { files } = at.server;
  const next = files[files.findIndex(({ name }) => name === place.file) + 1];
  if (next === undefined) return;
  const begin = { file: next.name, position: FIRST_POSITION };
  const { event } = await readPlace(at.access, begin, signal);
  if (event?.type === 'previous-gtids' && GtidSet.parse(event.set).contains(gtid)) return;
  const only = new GtidSet();
  only.add(gtid);
  await requireOnce(only, next.name, at, signal);
}

/**
 * All that stands before a file, whether or not its PREVIOUS_GTIDS event has it: what is purged, what that event
 * names, and what the file before it holds besides.
 *
 * @throws RowcallError what a dump throws
 */
export async function gtidsBefore(
  file: string,
  server: ServerPlace,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<GtidSet> {
  const begin = { file, position: FIRST_POSITION };
  const { event } = await readPlace(access, begin, signal);
  const named = event?.type === 'previous-gtids' ? GtidSet.parse(event.set) : new GtidSet();
  const gtids = named.union(server.gtids?.purged ?? new GtidSet());
  const before = server.files[server.files.findIndex(({ name }) => name === file) - 1];
  if (before === undefined || server.gtids === null) return gtids;
  try {
    const besides = await lackingIn(gtids, { first: before.name, end: file }, access, signal);
    return besides === null ? gtids : gtids.union(besides.gtids);
  } catch (error) {
    // It holds transactions without a GTID, of the time before gtid_mode was ON: the server does not send it.
    if (!isRefusal(error)) throw error;
    return gtids;
  }
}

/**
 * Where the first of these transactions stands, going back from a file until all are found; null where no file has
 * any, or the server does not send those that may.
 *
 * @throws RowcallError what a dump throws, its refusal apart
 */
export async function placeOfFirst(
  gtids: GtidSet,
  newest: string,
  at: { readonly server: ServerPlace; readonly access: DumpAccess },
  signal: AbortSignal,
): Promise<FilePosition | null> {
  const { server } = at;
  const found = new GtidSet();
  let place: FilePosition | null = null;
  const files = server.files.filter(({ name }) => fileNumber(name) <= fileNumber(newest));
  try {
    for (const { name } of files.toReversed()) {
      const events = gtidEventsOf(gtids, name, at, signal);
      let isFirst = true;
      for await (const { gtid, file, position } of events) {
        if (file !== name) break;
        if (isFirst) place = { file, position };
        isFirst = false;
        found.add(gtid);
      }
      if (gtids.isSubsetOf(found)) break;
    }
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
  return place;
}

/**
 * Where a dump of these transactions and no others begins: the server's own choice, unless it would pass over some.
 *
 * @param gtids of those that the server has executed
 * @throws RowcallError what a dump throws
 */
export async function startOfThese(
  gtids: GtidSet,
  at: { readonly server: ServerPlace; readonly access: DumpAccess },
  signal: AbortSignal,
): Promise<DumpStart> {
  const chosenByServer = { gtidSet: othersThan(gtids, at.server) };
  const { file } = await readPlace(at.access, chosenByServer, signal);
  const found = new GtidSet();
  for await (const { gtid } of gtidEventsOf(gtids, file, at, signal)) {
    found.add(gtid);
    if (gtids.isSubsetOf(found)) return chosenByServer;
  }
  return (await startOfPassed(gtids, gtids.subtract(found), at, signal)) ?? chosenByServer;
}

/**
 * Where a dump of transactions begins of which the server, left to choose itself, passed over some; null where no file
 * has these any more. @throws RowcallError what a dump throws, its refusal apart
 */
export async function startOfPassed(
  gtids: GtidSet,
  passed: GtidSet,
  at: { readonly server: ServerPlace; readonly access: DumpAccess },
  signal: AbortSignal,
): Promise<DumpStart | null> {
  const newest = at.server.files.at(-1)?.name;
  if (newest === undefined || passed.isEmpty) return null;
  const first = await placeOfFirst(passed, newest, at, signal);
  if (first === null) return null;
  return { file: first.file, position: FIRST_POSITION, except: othersThan(gtids, at.server) };
}

/** What the server is told that we have, so that it sends these alone of what it has executed. */
export function othersThan(gtids: GtidSet, { gtids: sets }: ServerPlace): GtidSet {
  const { executed, purged } = sets ?? { executed: new GtidSet(), purged: new GtidSet() };
  return executed.union(purged).subtract(gtids);
}

/** Where transactions of the set stand, from a file on: the server leaves out the others. */
async function* gtidEventsOf(
  gtids: GtidSet,
  file: string,
  { server, access }: { readonly server: ServerPlace; readonly access: DumpAccess },
  signal: AbortSignal,
): AsyncGenerator<FilePosition & { readonly gtid: Gtid }, void, void> {
  const except = (server.gtids?.executed ?? new GtidSet()).subtract(gtids);
  const start = { file, position: FIRST_POSITION, except };
  for await (const event of readEvents(access, start, signal)) {
    if (event.type !== 'gtid' || event.gtid === null || !gtids.contains(event.gtid)) continue;
    yield { file: event.file, position: event.position, gtid: event.gtid };
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof RowcallError && error.code === 'BINLOG_DUMP_REFUSED';
}
