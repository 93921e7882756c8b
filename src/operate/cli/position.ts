/** `rowcall position show|set`. */

import { formatCheckpoint, parseCheckpoint } from '../../checkpoint.ts';
import { SourceConnection } from '../../capture/binlog/source-connection.ts';
import { type Start, startPlace } from '../../capture/preflight/start-place.ts';
import { routingHash } from '../../capture/route/table-rule.ts';
import type { Config } from '../../config/schema.ts';
import { RowcallError } from '../../errors.ts';
import type { TopicInfo } from '../../log/change-log.ts';
import type { Checkpoint } from '../../position.ts';
import { systemClock } from '../../shared/clock.ts';
import { connectionOptions } from '../../source-connection.ts';
import type { CliIo } from './io.ts';
import { lockLogForCapture } from '../../stores.ts';
import { describeMove } from './position-move.ts';
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
  readonly latest?: boolean;
  readonly earliest?: boolean;
  readonly yes?: boolean;
}

/**
 * Asks the source whether the place is there, and saves it as the checkpoint. Refused while a connector runs.
 */
export async function setPosition(options: SetPositionOptions, io: CliIo): Promise<void> {
  const start = chosen(options);
  await withLog(options.config, io, async (log, config) => {
    const text = await log.readCheckpoint(config.name);
    const found = await findPlace(config, start, io.signal);
    const now = text === null ? null : readNow(text);
    const topics = topicsOf(await log.topics(), now?.checkpoint ?? null);
    const next: Checkpoint = { ...found, topics };
    if (now !== null) io.out(`Now:\n${now.description}\n`);
    io.out(`New:\n${describe(next)}\n`);
    io.out(between(now, next));
    if (options.yes !== true) {
      io.out('Nothing was changed. Stop the connector, then say it again with --yes.\n');
      return;
    }
    const lock = await lockLogForCapture(config);
    try {
      await log.setCheckpoint(config.name, formatCheckpoint(next));
    } finally {
      lock.release();
    }
    io.out('Set.\n');
  });
}

function chosen(options: SetPositionOptions): Start {
  const ways: Start[] = [];
  if (options.gtid !== undefined) ways.push({ gtid: options.gtid });
  if (options.file !== undefined && options.position !== undefined) {
    ways.push({ file: options.file, position: options.position });
  }
  if (options.latest === true) ways.push('latest');
  if (options.earliest === true) ways.push('earliest');
  const halfPlace = (options.file === undefined) !== (options.position === undefined);
  const [way] = ways;
  if (way === undefined || ways.length > 1 || halfPlace) {
    throw new RowcallError('USAGE', 'Say one place', {
      cure: 'Use --gtid SET, or --file NAME with --position N, or --latest, or --earliest.',
    });
  }
  return way;
}

async function findPlace(config: Config, start: Start, signal: AbortSignal): Promise<Checkpoint> {
  const connection = await connectionOptions(config.source);
  const { serverId, heartbeatMs } = config.source;
  const source = await SourceConnection.open(connection, signal);
  try {
    const access = { connection, serverId, heartbeatMs, clock: systemClock };
    return await startPlace(start, routingHash(config.tables), { source, access }, signal);
  } finally {
    await source.close();
  }
}

/** The log's topics, each with its table as far as the checkpoint that is replaced tells it. */
function topicsOf(topics: readonly TopicInfo[], before: Checkpoint | null): Checkpoint['topics'] {
  const known = new Map(Object.entries(before?.topics ?? {}));
  return Object.fromEntries(
    topics.map(({ name, id, partitions }) => {
      const made = known.get(name);
      return [name, { id, partitions, table: made?.id === id ? made.table : null }];
    }),
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

function between(now: Now | null, next: Checkpoint): string {
  if (now === null) return 'Nothing was captured yet: nothing comes again.\n\n';
  if (now.checkpoint === null) {
    return 'What comes again and what is skipped cannot be told: the checkpoint cannot be read.\n\n';
  }
  return `Between the two (what comes again has the same ids):\n${describeMove(now.checkpoint, next)}\n`;
}

function describe(checkpoint: Checkpoint): string {
  const lines = [
    `server   ${checkpoint.serverUuid}`,
    `file     ${checkpoint.file}:${checkpoint.position}`,
    `gtids    ${checkpoint.gtidSet ?? 'off: file and position count'}`,
  ];
  if (checkpoint.last !== null) {
    const { gtid, file, position, timestamp } = checkpoint.last;
    const at = new Date(timestamp * 1000).toISOString();
    lines.push(`last     ${gtid ?? 'transaction'} at ${file}:${position}, committed ${at}`);
  }
  for (const { transaction, tables } of checkpoint.open) {
    const rows = Object.entries(tables).map(([name, { ordinal }]) => `${ordinal} of ${name}`);
    lines.push(`open     ${transaction}: in the log are ${rows.join(', ')}`);
  }
  return lines.map((line) => `  ${line}\n`).join('');
}
