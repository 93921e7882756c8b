/** The commands under `rowcall replay`, and their options. */

import { type Command, InvalidArgumentError } from 'commander';
import type { CliIo } from './io.ts';
import { addApiOptions, positiveInteger } from './options.ts';
import { actOnReplay, listReplays, showReplay, startReplay, type StartOptions } from './replay.ts';

const START_HELP = `
  rowcall replay start billing --from 2026-11-21T18:00:00Z --dry-run -c FILE
  rowcall replay start billing --from 2026-11-21T18:00:00Z --to 2026-11-21T20:00:00Z -c FILE --reason 'it lost its data'
  rowcall replay start billing --table shop.orders --key '{"id":17}' -c FILE --reason 'it asked for this one'`;

const ACTIONS = [
  ['pause', 'begin no attempt of it until it is resumed'],
  ['resume', 'go on with a paused one'],
  ['cancel', 'end it: what it has not sent is not sent'],
] as const;

export function addReplay(program: Command, io: CliIo): void {
  const replay = program
    .command('replay')
    .description('send events that a callback has settled once more, from the log');
  addStart(replay, io);
  addApiOptions(replay.command('list').description('list replays, the newest first'))
    .option('--callback <name>', 'only those of one callback')
    .option('--limit <n>', 'how many', positiveInteger, 50)
    .option('--after <id>', 'go on after this one', positiveInteger)
    .action((options: Parameters<typeof listReplays>[0]) => listReplays(options, io));
  addApiOptions(replay.command('show').description('one replay, and how far it is'))
    .argument('<id>', 'number of the replay', positiveInteger)
    .option('--wait', 'wait until it has ended')
    .action((id: number, options: Parameters<typeof showReplay>[1]) => showReplay(id, options, io));
  for (const [action, description] of ACTIONS) {
    addApiOptions(replay.command(action).description(description))
      .argument('<id>', 'number of the replay', positiveInteger)
      .option('--reason <text>', 'why; for the audit log')
      .action((id: number, options: StartOptions) => actOnReplay(action, id, options, io));
  }
}

function addStart(replay: Command, io: CliIo): void {
  addApiOptions(
    replay
      .command('start')
      .description('what would be sent is counted and shown first, and sent on a yes'),
  )
    .argument('<callback>', 'name of the callback')
    .option('--from <time>', 'events committed then or later (RFC 3339)')
    .option('--to <time>', 'events committed before (RFC 3339)')
    .option('--topic <topic>', 'only of this topic')
    .option('--partition <n>', 'only of this partition of the topic', wholeNumber)
    .option('--from-offset <n>', 'from this offset of the partition on', wholeNumber)
    .option('--to-offset <n>', 'up to this offset of the partition, without it', wholeNumber)
    .option('--table <globs...>', 'only of these tables: schema.table, * and ?, ! excludes')
    .option('--operation <names...>', 'only these: insert, update, delete, read')
    .option('--key <key>', 'only of this key, as rowcall events shows it')
    .option('--gtid <gtid>', 'only of this transaction')
    .option('--concurrency <n>', 'keys at once; a quarter of the callback’s', positiveInteger)
    .option('--rate <n>', 'attempts a second; half of the callback’s rate_limit', positiveNumber)
    .option('--new-ids', 'with other ids than at first, for receivers that de-duplicate')
    .option('--allow-missing', 'also where the log no longer holds all of it')
    .option('--dry-run', 'show the plan only')
    .option('--yes', 'send without asking')
    .option('--reason <text>', 'why; for the audit log')
    .option('--wait', 'wait until it has ended; at a terminal it is waited for anyway')
    .option('--no-wait', 'do not wait')
    .addHelpText('after', START_HELP)
    .action((callback: string, options: StartOptions) => startReplay(callback, options, io));
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('It must be a whole number from 0.');
  }
  return value;
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) {
    throw new InvalidArgumentError('It must be a number over 0.');
  }
  return value;
}
