/** What the parser of the command line refuses, as an error of ours: with the code, and where the cure is found. */

import type { Command, CommanderError } from 'commander';
import { RowcallError } from '../../errors.ts';

/** Of commands in which a wrong option is most likely another one's. */
const CURES: ReadonlyMap<string, string> = new Map([
  [
    'position set',
    'Say where to go on with --gtid SET, with --file NAME and --position N, with --timestamp 2026-01-31T08:00:00Z, with --latest or with --earliest.',
  ],
]);

/** Null where nothing is wrong: help or the version was asked for, or a group of commands shows its help. */
export function usageError(
  error: CommanderError,
  program: Command,
  argv: readonly string[],
): RowcallError | null {
  if (error.exitCode === 0 || error.code === 'commander.help') return null;
  const [first = '', ...further] = error.message.replace(/^error: /, '').split('\n');
  const command = named(program, argv);
  const path = pathOf(command);
  const own = CURES.get(path.split(' ').slice(1).join(' '));
  const guess = further.map((line) => line.replace(/^\((.*)\)$/, '$1')).filter(Boolean);
  const help = `${path} --help shows ${command === program ? 'the commands' : 'how it is used'}.`;
  const cure = [...guess, ...(own === undefined ? [] : [own]), help].join(' ');
  return new RowcallError('USAGE', sentence(first), { cure });
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

/** The command that the words name, as far as they do. */
function named(program: Command, argv: readonly string[]): Command {
  let command = program;
  for (const word of argv) {
    const next = command.commands.find((one) => one.name() === word);
    if (next === undefined) break;
    command = next;
  }
  return command;
}

export function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
