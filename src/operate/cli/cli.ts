/** The command line: which commands there are, and how an error becomes words and an exit code. */

import { Command, CommanderError } from 'commander';
import { armFromEnvironment } from '../../config/failpoint-env.ts';
import { type RowcallError, toRowcallError } from '../../errors.ts';
import { VERSION } from '../../version.ts';
import { type BinlogOptions, printBinlog } from './binlog/binlog.ts';
import { addCallbacks } from './callback-commands.ts';
import { runDaemon } from './daemon.ts';
import { addDeadLetters } from './dead-letter-commands.ts';
import { addReplay } from './replay-commands.ts';
import { examine } from './doctor.ts';
import { addEvents } from './event-commands.ts';
import { addExamples } from './examples.ts';
import type { CliIo } from './io.ts';
import { actOnLanes, type LaneActionOptions } from './lane-actions.ts';
import { listLanes, showLane } from './lanes.ts';
import { printLedger } from './ledger.ts';
import { CONFIG, JSON_OPTION, positiveInteger } from './options.ts';
import { resetPosition, type SetPositionOptions, setPosition, showPosition } from './position.ts';
import { addSettlements } from './settlement-commands.ts';
import { printStatus } from './status.ts';
import { usageError } from './usage-error.ts';
import { validate } from './validate.ts';

const DRY_RUN = [
  '--dry-run',
  'show the place and what lies between; also what is done without --yes',
] as const;
const YES = ['--yes', 'do it: what is skipped is then not captured'] as const;

/** Runs one command. Resolves with the exit code: 0 as asked, 1 failed, 2 usage or configuration, 3 source or stores. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  const program = buildProgram(io);
  try {
    armFromEnvironment(io.env);
    await program.parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    const isParsers = error instanceof CommanderError;
    const refused = isParsers ? usageError(error, program, argv) : null;
    // Help was printed, or the version; a group of commands without one of them shows its help and has done nothing.
    if (isParsers && refused === null) return error.exitCode === 0 ? 0 : 2;
    const failure = refused ?? toRowcallError(error);
    io.err(argv.includes('--json') ? formatErrorJson(failure) : formatError(failure));
    return failure.exitCode;
  }
}

/** The same for a program, by the names that a problem of the API has. */
function formatErrorJson({ code, message, place, cure }: RowcallError): string {
  return `${JSON.stringify({ code, detail: message, place, cure })}\n`;
}

/** What, where, cure: the form in which every error reaches a person. */
export function formatError(error: RowcallError): string {
  const lines = [`error ${error.code}: ${error.message}`];
  if (error.place !== undefined) lines.push(`  at    ${error.place}`);
  lines.push(`  cure  ${error.cure}`);
  if (error.code === 'INTERNAL' && error.stack !== undefined) lines.push(error.stack);
  return `${lines.join('\n')}\n`;
}

/** Whole, with the help of every command. */
export function buildProgram(io: CliIo): Command {
  const program = new Command('rowcall')
    .description(
      'Change data capture for MySQL that finishes the job: every row change is called back,\n' +
        'in order per row, with retries that survive crashes, and books that balance.',
    )
    .configureOutput({ writeOut: io.out, writeErr: io.err, outputError: () => undefined })
    .exitOverride()
    .version(VERSION, '-V, --version', 'print the version');
  addDaemons(program, io);
  addInspection(program, io);
  addCallbacks(program, io);
  addLanes(program, io);
  addDeadLetters(program, io);
  addSettlements(program, io);
  addReplay(program, io);
  addEvents(program, io);
  addPosition(program, io);
  addBinlog(program, io);
  addExamples(program);
  return program;
}

function addDaemons(program: Command, io: CliIo): void {
  const legs = [
    ['run', 'run both legs: capture the binlog into the log, and call back'],
    ['connect', 'run the capture only: binlog into the log'],
    ['deliver', 'run the delivery only: log to callbacks'],
  ] as const;
  for (const [name, description] of legs) {
    const command = program
      .command(name)
      .description(description)
      .requiredOption(...CONFIG)
      .option(
        '--accept-lost-state',
        'go on from the marks in the log where the state store was lost: what stood in lanes is gone',
      )
      .action((options: { config: string; acceptLostState?: boolean; takeOver?: boolean }) =>
        runDaemon(name, options, io),
      );
    if (name === 'deliver') continue;
    command.option(
      '--take-over',
      'capture at once: the connector that does now is stopped. Only with a log in Kafka',
    );
  }
}

function addInspection(program: Command, io: CliIo): void {
  program
    .command('validate')
    .description('check the configuration: every error at once, nothing is started')
    .requiredOption(...CONFIG)
    .option('--print', 'print the configuration with every default filled in, secrets masked')
    .action((options: { config: string; print?: boolean }) => validate(options, io));
  program
    .command('doctor')
    .description(
      'check everything outside: the source, the log, the state; each finding with its cure',
    )
    .requiredOption(...CONFIG)
    .option(...JSON_OPTION)
    .action((options: { config: string; json?: boolean }) => examine(options, io));
  program
    .command('status')
    .description('where capture and each callback stand')
    .requiredOption(...CONFIG)
    .option(...JSON_OPTION)
    .action((options: { config: string; json?: boolean }) => printStatus(options, io));
  program
    .command('ledger')
    .description('the books of each callback and partition, and whether they balance')
    .requiredOption(...CONFIG)
    .option(...JSON_OPTION)
    .option('--recount', 'count read, filtered and matched again from the log and compare')
    .action((options: { config: string; json?: boolean; recount?: boolean }) =>
      printLedger(options, io),
    );
  program
    .command('version')
    .description('print the version')
    .option(...JSON_OPTION)
    .action((options: { json?: boolean }) => {
      io.out(options.json === true ? `${JSON.stringify({ version: VERSION })}\n` : `${VERSION}\n`);
    });
}

function addLanes(program: Command, io: CliIo): void {
  const lanes = program
    .command('lanes')
    .description('keys whose events failed and wait for their next attempt, or for a person');
  lanes
    .command('list')
    .description('list lanes, oldest first')
    .requiredOption(...CONFIG)
    .option('--callback <name>', 'only those of one callback')
    .option('--limit <n>', 'how many', positiveInteger, 50)
    .option('--after <id>', 'go on after this lane', positiveInteger)
    .option(...JSON_OPTION)
    .action(
      (options: {
        config: string;
        callback?: string;
        limit: number;
        after?: number;
        json?: boolean;
      }) => listLanes(options, io),
    );
  lanes
    .command('show')
    .description('one lane with its events')
    .argument('<id>', 'number of the lane', positiveInteger)
    .requiredOption(...CONFIG)
    .option(...JSON_OPTION)
    .action((id: number, options: { config: string; json?: boolean }) => showLane(id, options, io));
  const actions = [
    ['retry', 'try the head of a lane now; that of a parked one with a new budget'],
    ['skip', 'go on without the head of a lane; it cannot be undone'],
    ['park', 'send nothing of a key until somebody retries or skips its head'],
  ] as const;
  for (const [action, description] of actions) {
    lanes
      .command(action)
      .description(description)
      .argument('[id]', 'number of the lane', positiveInteger)
      .requiredOption(...CONFIG)
      .option('--callback <name>', 'lanes of this callback, instead of a number')
      .option('--topic <topic>', 'with --callback: only of this topic')
      .option('--key <key>', 'with --callback: the key, as lanes list shows it: \'{"id":1}\'')
      .option('--all', 'with --callback: all its lanes')
      .option('--event <id>', 'the event at the head, as lanes list shows it: no other is acted on')
      .option('--reason <text>', 'why; for the audit log')
      .option('--yes', 'several heads may be skipped')
      .action((id: number | undefined, options: LaneActionOptions) =>
        actOnLanes(action, id, options, io),
      );
  }
}

function addPosition(program: Command, io: CliIo): void {
  const position = program.command('position').description('the place reached in the binlog');
  position
    .command('show')
    .description('print the checkpoint')
    .requiredOption(...CONFIG)
    .option(...JSON_OPTION)
    .action((options: { config: string; json?: boolean }) => showPosition(options, io));
  position
    .command('set')
    .description(
      'go on from another place; what lies between is skipped or comes again. Stop the connector first',
    )
    .requiredOption(...CONFIG)
    .option('--gtid <set>', 'GTIDs that count as seen')
    .option('--file <name>', 'binlog file, with --position')
    .option('--position <n>', 'byte in the file', positiveInteger)
    .option('--timestamp <time>', 'RFC 3339: the first transaction committed then or later')
    .option('--latest', 'the end of the binlog as it is now')
    .option('--earliest', 'the oldest binlog that the server has')
    .option(...DRY_RUN)
    .option(...YES)
    .action((options: SetPositionOptions) => setPosition(options, io));
  position
    .command('reset')
    .description('go on from where source.start says, as if nothing had been captured')
    .requiredOption(...CONFIG)
    .option(...DRY_RUN)
    .option(...YES)
    .action((options: { config: string; dryRun?: boolean; yes?: boolean }) =>
      resetPosition(options, io),
    );
}

const BINLOG_EXAMPLES = `
A bound is FILE:POSITION, FILE, POSITION (of the only file named), or a time with its zone. --from is included,
--to is not. The time of an event is that of its transaction's commit.

  rowcall binlog binlog.000042
  rowcall binlog binlog.00004* --json --table 'shop.*' --table '!shop.log' --from 2026-11-21T13:00:00Z
  rowcall binlog -c rowcall.yaml --from binlog.000042:157 --to binlog.000043
  rowcall binlog -c rowcall.yaml --gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:23-25

With -c the source is read up to its end as it is now: from the beginning of its newest file, unless --from or --gtid
says otherwise (--from earliest: all that it has). Exit code 1: rows were shown that could not be read whole.
docs/BINLOG.md lists the fields of --json.`;

function addBinlog(program: Command, io: CliIo): void {
  program
    .command('binlog')
    .description('print the events of binlog files, or of the source, with their rows')
    .argument('[files...]', 'binlog files of MySQL 5.6 or newer, or of MariaDB; no server is asked')
    .option('-c, --config <file>', 'configuration file (YAML): read the source that it names')
    .option('--from <bound>', 'begin at this place or time')
    .option('--to <bound>', 'end before this place or time')
    .option(
      '--table <glob>',
      'only rows and table maps of these tables; may be repeated',
      collected,
    )
    .option('--gtid <set>', 'only events of these transactions')
    .option('--json', 'one line of JSON for each event')
    .addHelpText('after', BINLOG_EXAMPLES)
    .action((files: string[], options: BinlogOptions) => printBinlog(files, options, io));
}

function collected(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
