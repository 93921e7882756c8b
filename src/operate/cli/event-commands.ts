/** `rowcall events`, `explain`, `tail`, `completions` and `audit`, and their options. */

import type { Command } from 'commander';
import { type AuditOptions, printAudit } from './audit.ts';
import { type CompletionsOptions, listCompletions } from './completions.ts';
import { explainEvent, findEvents, type FindOptions, showEvent } from './events.ts';
import type { CliIo } from './io.ts';
import { addApiOptions, positiveInteger, timeText } from './options.ts';
import { tailEvents, type TailOptions } from './tail.ts';

const EVENTS_HELP = `
The log is looked through from its beginning, or from --from on by its index of times, at most --max-records at a time.
What is printed last says how far that was, and how to look on.

  rowcall events -c FILE --table shop.orders --key '{"id":1}' --from 2026-11-21T13:00:00Z
  rowcall events -c FILE --gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:23
  rowcall events -c FILE '3e11fa47-71ca-11e1-9e33-c80aa9429562:23:shop/orders:1'      one event's life`;

const MAX_RECORDS = 1_000_000;

export function addEvents(program: Command, io: CliIo): void {
  const looking = (name: string, description: string): Command =>
    addApiOptions(program.command(name).description(description))
      .option('--topic <topic>', 'look there alone')
      .option('--max-records <n>', 'look at no more records', positiveInteger, MAX_RECORDS)
      .option('--cursor <cursor>', 'look on from where an earlier look ended');

  looking('events', 'find events of the log, or tell what became of one')
    .argument('[id]', 'event id: its place in binlog and log, and its outcome for each callback')
    .option('--id <id>', 'find it by its id')
    .option('--gtid <gtid>', 'events of this transaction')
    .option('--table <table>', 'events of this table: schema.table')
    .option('--key <key>', 'events of this key, as it stands in the log: \'{"id":1}\'')
    .option('--from <time>', 'committed then or later (RFC 3339)', timeText)
    .option('--to <time>', 'committed before (RFC 3339)', timeText)
    .option('--limit <n>', 'how many', positiveInteger, 50)
    .addHelpText('after', EVENTS_HELP)
    .action((id: string | undefined, options: FindOptions) =>
      id === undefined ? findEvents(options, io) : showEvent(id, options, io),
    );
  looking('explain', 'why an event has not reached a callback, or that it has')
    .argument('<id>', 'event id')
    .requiredOption('--callback <name>', 'the callback')
    .action((id: string, options: Parameters<typeof explainEvent>[1]) =>
      explainEvent(id, options, io),
    );
  addTail(program, io);
  addCompletions(program, io);
  addApiOptions(program.command('audit').description('who did what, when and why; oldest first'))
    .option('--callback <name>', 'only what was done about one callback')
    .option('--limit <n>', 'how many', positiveInteger, 50)
    .option('--after <id>', 'go on after this entry', positiveInteger)
    .action((options: AuditOptions) => printAudit(options, io));
}

function addCompletions(program: Command, io: CliIo): void {
  const completions = program
    .command('completions')
    .description('ends of asynchronous attempts: what was told of events answered with 202');
  addApiOptions(
    completions.command('list').description('list those of the last seven days, oldest first'),
  )
    .option('--callback <name>', 'only those of one callback')
    .option('--limit <n>', 'how many', positiveInteger, 50)
    .option('--after <id>', 'go on after this one', positiveInteger)
    .addHelpText('after', '\n  rowcall completions list -c rowcall.yaml --callback payment')
    .action((options: CompletionsOptions) => listCompletions(options, io));
}

function addTail(program: Command, io: CliIo): void {
  addApiOptions(
    program.command('tail').description('events as they come into the log, from now on'),
  )
    .option('--topic <topic>', 'events of this topic')
    .option('--table <glob>', "events of these tables: 'shop.*'")
    .option('--key <key>', 'events of this key, as it stands in the log: \'{"id":1}\'')
    .option('--operation <operation>', 'insert, update, delete, read or truncate')
    .option('--callback <name>', 'events that this callback asks for')
    .option('--limit <n>', 'end after so many', positiveInteger)
    .option('--values', 'with their values; --json has them anyway, one event a line')
    .action((options: TailOptions) => tailEvents(options, io));
}
