/** Options that several commands have. */

import { type Command, InvalidArgumentError } from 'commander';
import { parseTimestamp } from '../../config/timestamp.ts';

export const CONFIG = ['-c, --config <file>', 'configuration file (YAML)'] as const;
export const JSON_OPTION = ['--json', 'print JSON for a program'] as const;

/** Adds the options by which every client of the API finds it. */
export function addApiOptions(command: Command): Command {
  return command
    .option(
      '-c, --config <file>',
      'configuration file (YAML): the daemon that it describes is asked',
    )
    .option('--url <url>', 'or its admin address, such as http://127.0.0.1:8686')
    .option('--token <token>', 'token of admin.tokens; else ROWCALL_TOKEN')
    .option(...JSON_OPTION);
}

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError('It must be a whole number from 1.');
  }
  return value;
}

/** As it is written, which the API reads. */
export function timeText(text: string): string {
  if (parseTimestamp(text) !== null) return text;
  throw new InvalidArgumentError('Write it with date and zone, such as 2026-01-31T08:00:00Z.');
}
