/** The commands under `rowcall dead-letters`, and their options. */

import type { Command } from 'commander';
import { listDeadLetters, showDeadLetter } from './dead-letters.ts';
import type { CliIo } from './io.ts';
import { addApiOptions, CONFIG, JSON_OPTION, positiveInteger, timeText } from './options.ts';
import { actOnResend, listResends, resend, type ResendOptions, showResend } from './resends.ts';

const LIMIT = ['--limit <n>', 'how many', positiveInteger, 50] as const;

export function addDeadLetters(program: Command, io: CliIo): void {
  const letters = program
    .command('dead-letters')
    .description('events that were given up and set aside (on_exhausted: dead-letter)');
  letters
    .command('list')
    .description('list dead letters, oldest first')
    .requiredOption(...CONFIG)
    .option('--callback <name>', 'only those of one callback')
    .option(...LIMIT)
    .option('--after <id>', 'go on after this one', positiveInteger)
    .option(...JSON_OPTION)
    .action((options: Parameters<typeof listDeadLetters>[0]) => listDeadLetters(options, io));
  letters
    .command('show')
    .description('one dead letter with its event')
    .argument('<id>', 'number of the dead letter', positiveInteger)
    .requiredOption(...CONFIG)
    .option(...JSON_OPTION)
    .action((id: number, options: { config: string; json?: boolean }) =>
      showDeadLetter(id, options, io),
    );
  addResend(letters, io);
  addResends(letters, io);
}

const RESEND_HELP = `
  rowcall dead-letters resend 17 -c FILE --reason 'the receiver is mended'
  rowcall dead-letters resend 18 -c FILE --reason 'it had no price' --data mended.json
  rowcall dead-letters resend --callback billing --cause endpoint -c FILE --reason 'after the outage'`;

function addResend(letters: Command, io: CliIo): void {
  addApiOptions(
    letters
      .command('resend')
      .description('send one again, or all that are meant: their count first, then on a yes'),
  )
    .argument('[id]', 'number of the dead letter', positiveInteger)
    .option('--data <file>', "JSON object to send in the place of the event's data")
    .option('--callback <name>', 'those of this callback, instead of a number')
    .option('--topic <topic>', 'only of this topic')
    .option('--table <table>', 'only of this table: schema.table')
    .option('--key <key>', 'only of this key, as dead-letters list shows it')
    .option('--cause <cause>', 'only those given up because of: endpoint, or system')
    .option('--from <time>', 'only those given up then or later (RFC 3339)', timeText)
    .option('--to <time>', 'only those given up before (RFC 3339)', timeText)
    .option('--dry-run', 'count only')
    .option('--yes', 'send them without asking')
    .option('--reason <text>', 'why; for the audit log')
    .option('--wait', 'wait until it has ended; at a terminal it is waited for anyway')
    .option('--no-wait', 'do not wait')
    .addHelpText('after', RESEND_HELP)
    .action((id: number | undefined, options: ResendOptions) => resend(id, options, io));
}

const ACTIONS = [
  ['pause', 'begin no attempt of it until it is resumed'],
  ['resume', 'go on with a paused one'],
  ['cancel', 'end it: what it has not delivered stay dead letters'],
] as const;

function addResends(letters: Command, io: CliIo): void {
  const resends = letters
    .command('resends')
    .description('dead letters that are being sent again, and how far that is');
  addApiOptions(resends.command('list').description('list them, the newest first'))
    .option('--callback <name>', 'only those of one callback')
    .option(...LIMIT)
    .option('--after <id>', 'go on after this one', positiveInteger)
    .action((options: Parameters<typeof listResends>[0]) => listResends(options, io));
  addApiOptions(resends.command('show').description('one of them'))
    .argument('<id>', 'number of the resend', positiveInteger)
    .option('--wait', 'wait until it has ended')
    .action((id: number, options: Parameters<typeof showResend>[1]) => showResend(id, options, io));
  for (const [action, description] of ACTIONS) {
    addApiOptions(resends.command(action).description(description))
      .argument('<id>', 'number of the resend', positiveInteger)
      .option('--reason <text>', 'why; for the audit log')
      .action((id: number, options: ResendOptions) => actOnResend(action, id, options, io));
  }
}
