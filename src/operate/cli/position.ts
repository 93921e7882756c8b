/** `rowcall position show|set|reset`. */

import { formatCheckpoint, parseCheckpoint } from '../../checkpoint.ts';
import { withSource } from '../../capture/binlog/source-connection.ts';
import { AskedColumnTypes } from '../../capture/preflight/mariadb/column-types.ts';
import { chooseServer } from '../../capture/preflight/choose-server.ts';
import { type History, historySince } from '../../capture/preflight/history-apart.ts';
import { readAnyServer } from '../../capture/preflight/any-server.ts';
import { secondsText } from '../../capture/preflight/prove-sets.ts';
import { type Start, startPlace } from '../../capture/preflight/start-place.ts';
import { type MoveSurvey, surveyMove } from '../../capture/preflight/survey-move.ts';
import { createRouter } from '../../capture/route/router.ts';
import { countedTypes } from '../../capture/typed-tables.ts';
import { routingHash } from '../../capture/route/table-rule.ts';
import type { Config } from '../../config/schema.ts';
import { parseTimestamp } from '../../config/timestamp.ts';
import { RowcallError } from '../../errors.ts';
import type { ChangeLog } from '../../log/change-log.ts';
import { type Checkpoint, type FilePosition, formatPlace } from '../../position.ts';
import { systemClock } from '../../shared/clock.ts';
import { silentLogger } from '../../shared/logger.ts';
import { sourceServers } from '../../source-connection.ts';
import type { CliIo } from './io.ts';
import { lockLogForCapture } from '../../stores.ts';
import { describeApart, describeDoubt } from './position-apart.ts';
import { describeMove, describeSurvey, keptFrom } from './position-move.ts';
import { withLog } from './stores.ts';

export async function showPosition(
  options: { readonly config: string; readonly json?: boolean },
  io: CliIo,
): Promise<void> {
  await withLog(options.config, io, async (log, config) => {
    const text = await log.readCheckpoint(config.name);
    if (text === null) {
      io.out(
        options.json === true
          ? 'null\n'
          : `No checkpoint of ${config.name}: nothing was captured yet.\n`,
      );
      return;
    }
    const checkpoint = parseCheckpoint(text);
    io.out(
      options.json === true ? `${JSON.stringify(checkpoint, null, 2)}\n` : describe(checkpoint),
    );
  });
}

export interface SetPositionOptions {
  readonly config: string;
  readonly gtid?: string;
  readonly file?: string;
  readonly position?: number;
  readonly timestamp?: string;
  readonly latest?: boolean;
  readonly earliest?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/**
 * Asks the source whether the place is there, and saves it as the checkpoint. Refused while a connector runs.
 */
export async function setPosition(options: SetPositionOptions, io: CliIo): Promise<void> {
  const start = chosen(options);
  requireOneWish(options);
  await withLog(options.config, io, (log, config) => move({ log, config, start }, options, io));
}

/** The same with the place that `source.start` names: as a connector would begin whose log holds nothing of it. */
export async function resetPosition(
  options: Pick<SetPositionOptions, 'config' | 'dryRun' | 'yes'>,
  io: CliIo,
): Promise<void> {
  requireOneWish(options);
  await withLog(options.config, io, (log, config) =>
    move({ log, config, start: config.source.start }, options, io),
  );
}

function requireOneWish({ dryRun, yes }: Pick<SetPositionOptions, 'dryRun' | 'yes'>): void {
  if (dryRun !== true || yes !== true) return;
  throw new RowcallError('USAGE', '--dry-run and --yes are opposites', {
    cure: 'Without --yes nothing is changed either.',
  });
}

async function move(
  what: { readonly log: ChangeLog; readonly config: Config; readonly start: Start },
  { yes, config: file }: Pick<SetPositionOptions, 'yes' | 'config'>,
  io: CliIo,
): Promise<void> {
  const { log, config, start } = what;
  const text = await log.readCheckpoint(config.name);
  const now = text === null ? null : readNow(text);
  const { found, survey, history } = await findPlace(
    config,
    start,
    now?.checkpoint ?? null,
    io.signal,
  );
  const next = keptFrom(now?.checkpoint ?? null, found, await log.topics());
  if (now !== null) io.out(`Now:\n${now.description}\n`);
  io.out(`New:\n${describe(next)}${movedBehind(start, next)}\n`);
  io.out(between(now, next, { survey, history }));
  if (yes !== true) {
    io.out('Nothing was changed. Stop the connector, then say it again with --yes.\n');
    return;
  }
  const lock = await lockLogForCapture(config);
  try {
    await log.setCheckpoint(config.name, formatCheckpoint(next));
  } finally {
    lock.release();
  }
  io.out(`Set.${wayBack(now?.checkpoint ?? null, file)}\n`);
}

/** A place within a transaction was named: errors name the event that stopped the capture. */
function movedBehind(start: Start, next: Checkpoint): string {
  if (typeof start === 'string' || !('file' in start) || next.position === start.position) {
    return '';
  }
  return `  ${formatPlace(start)} is within a transaction: the new place is the end of it\n`;
}

/** What was there cannot be restored in full where a transaction was cut: its rows come again then. */
function wayBack(before: Checkpoint | null, config: string): string {
  if (before === null) return '';
  const { gtidSet, file, position } = before;
  const place = gtidSet === null ? `--file ${file} --position ${position}` : `--gtid '${gtidSet}'`;
  return ` The way back, as long as nothing was captured: rowcall position set -c '${config}' ${place} --yes`;
}

function chosen(options: SetPositionOptions): Start {
  const ways: Start[] = [];
  if (options.gtid !== undefined) ways.push({ gtid: options.gtid });
  if (options.file !== undefined && options.position !== undefined) {
    ways.push({ file: options.file, position: options.position, behind: true });
  }
  if (options.timestamp !== undefined) ways.push({ timestampMs: timeOf(options.timestamp) });
  if (options.latest === true) ways.push('latest');
  if (options.earliest === true) ways.push('earliest');
  const halfPlace = (options.file === undefined) !== (options.position === undefined);
  const [way] = ways;
  if (way === undefined || ways.length > 1 || halfPlace) {
    throw new RowcallError('USAGE', 'Say one place', {
      cure: 'Use --gtid SET, or --file NAME with --position N, or --timestamp TIME, or --latest, or --earliest.',
    });
  }
  return way;
}

function timeOf(text: string): number {
  const ms = parseTimestamp(text);
  if (ms !== null) return ms;
  throw new RowcallError('USAGE', `${text} is no time of RFC 3339 with its zone`, {
    cure: 'Write one such as 2026-01-31T08:00:00Z.',
  });
}

interface FoundMove {
  readonly found: Checkpoint;
  /** Null where nothing was captured yet, or what lies between cannot be told. */
  readonly survey: MoveSurvey | null;
  readonly history: History;
}

/** On the first server that answers; a file is looked for on the server that was read until now. */
async function findPlace(
  config: Config,
  start: Start,
  now: Checkpoint | null,
  signal: AbortSignal,
): Promise<FoundMove> {
  const { serverId, heartbeatMs } = config.source;
  const servers = await sourceServers(config.source);
  const router = createRouter({ name: config.name, rules: config.tables });
  const captured = (schema: string, table: string): boolean => router.couldCapture(schema, table);
  const capturedSchema = (schema: string): boolean => router.couldCaptureSchema(schema);
  const { found } = await chooseServer(servers, ({ connection }) =>
    withSource(connection, signal, async (source): Promise<FoundMove> => {
      const { uuid } = await readAnyServer(source);
      if (typeof start !== 'string' && 'file' in start && servers.length > 1) {
        requireServer(uuid, now, start);
      }
      const access = { connection, serverId, heartbeatMs, clock: systemClock };
      const at = { source, access };
      const place = await startPlace(start, routingHash(config.tables), at, signal);
      if (now === null) return { found: place, survey: null, history: { kind: 'one' } };
      // Asked again: the new place may be ahead of what the server had before.
      const types = countedTypes(new AskedColumnTypes(access, silentLogger, signal), router);
      const server = await readAnyServer(source);
      const history = await historySince(now, server, at, signal);
      const apart = history.kind === 'apart';
      const between = { server, access, captured, capturedSchema, types, apart };
      const survey = await surveyMove(now, place, between, signal);
      return { found: place, survey, history };
    }),
  );
  return found;
}

function requireServer(uuid: string, now: Checkpoint | null, start: FilePosition): void {
  if (now?.serverUuid === uuid) return;
  throw new RowcallError(
    'SERVER_CHANGED',
    `This is ${uuid}, and a file's name is one server's own`,
    {
      place: formatPlace(start),
      cure: 'Name the place with --gtid or --timestamp; a file can be named on the server that was read last.',
    },
  );
}

interface Now {
  readonly description: string;
  /** Null where it cannot be read. */
  readonly checkpoint: Checkpoint | null;
}

/** A checkpoint that cannot be read is what `set` may be there to replace. */
function readNow(text: string): Now {
  try {
    const checkpoint = parseCheckpoint(text);
    return { description: describe(checkpoint), checkpoint };
  } catch (error) {
    if (error instanceof RowcallError && error.code === 'CHECKPOINT_UNREADABLE') {
      return { description: `  ${error.message}\n`, checkpoint: null };
    }
    throw error;
  }
}

function between(
  now: Now | null,
  next: Checkpoint,
  { survey, history }: Pick<FoundMove, 'survey' | 'history'>,
): string {
  if (now === null) return 'Nothing was captured yet: nothing comes again.\n\n';
  if (now.checkpoint === null) {
    return 'What comes again and what is skipped cannot be told: the checkpoint cannot be read.\n\n';
  }
  if (history.kind === 'apart') {
    return `${describeApart(now.checkpoint, next, history.why)}${describeSurvey(survey, 'comes')}\n`;
  }
  const doubt = history.kind === 'lacks' ? describeDoubt(history.why) : '';
  return `Between the two (what comes again has the same ids):\n${describeMove(now.checkpoint, next)}${describeSurvey(survey)}${doubt}\n`;
}

function describe(checkpoint: Checkpoint): string {
  const lines = [
    `server   ${checkpoint.serverUuid}`,
    `file     ${checkpoint.file}:${checkpoint.position}`,
    `gtids    ${gtidsText(checkpoint.gtidSet)}`,
  ];
  if (checkpoint.last !== null) {
    const { gtid, file, position } = checkpoint.last;
    const at = timeText(checkpoint.last);
    lines.push(`last     ${gtid ?? 'transaction'} at ${file}:${position}, committed ${at}`);
  }
  for (const { transaction, tables } of checkpoint.open) {
    const rows = Object.entries(tables).map(([name, { ordinal }]) => `${ordinal} of ${name}`);
    lines.push(`open     ${transaction}: in the log are ${rows.join(', ')}`);
  }
  for (const prepared of checkpoint.prepared) {
    const { xid, at, gtid } = prepared;
    const since = timeText(prepared);
    lines.push(`prepared ${xid} at ${at === null ? gtid : formatPlace(at)}, since ${since}`);
  }
  return lines.map((line) => `  ${line}\n`).join('');
}

function gtidsText(set: string | null): string {
  if (set === null) return 'off: file and position count';
  return set === '' ? 'none' : set;
}

/** As exactly as it is known: of some servers whole seconds alone. */
function timeText({
  timestamp,
  commitUs,
}: {
  readonly timestamp: number;
  readonly commitUs: number | null;
}): string {
  return commitUs === null
    ? secondsText(timestamp)
    : new Date(Math.floor(commitUs / 1000)).toISOString();
}
