/** The commands under `rowcall settlements`, and their options. */

import type { Command } from 'commander';
import type { CliIo } from './io.ts';
import { addApiOptions, positiveInteger } from './options.ts';
import {
  actOnSettlements,
  listSettlements,
  type SettlementActionOptions,
  showSettlement,
} from './settlements.ts';

const ACTIONS = [
  [
    'retry',
    'run a statement now, where it is the first of its key',
    `
  rowcall settlements retry 17 -c rowcall.yaml
  rowcall settlements retry --callback payment --all -c rowcall.yaml      after what it names was mended`,
  ],
  [
    'skip',
    'never run a statement; it cannot be taken back',
    `
  rowcall settlements skip 17 -c rowcall.yaml --reason 'the row was deleted by hand'`,
  ],
] as const;

export function addSettlements(program: Command, io: CliIo): void {
  const settlements = program
    .command('settlements')
    .description('statements of on_settled that have not run (docs/ON-SETTLED.md)');
  addApiOptions(settlements.command('list').description('list them, oldest first'))
    .option('--callback <name>', 'only those of one callback')
    .option('--limit <n>', 'how many', positiveInteger, 50)
    .option('--after <id>', 'go on after this one', positiveInteger)
    .addHelpText('after', '\n  rowcall settlements list -c rowcall.yaml --callback payment')
    .action((options: Parameters<typeof listSettlements>[0]) => listSettlements(options, io));
  addApiOptions(settlements.command('show').description('one of them, and why it fails'))
    .argument('<id>', 'number of the statement', positiveInteger)
    .addHelpText('after', '\n  rowcall settlements show 17 -c rowcall.yaml')
    .action((id: number, options: Parameters<typeof showSettlement>[1]) =>
      showSettlement(id, options, io),
    );
  for (const [action, description, example] of ACTIONS) {
    const command = addApiOptions(settlements.command(action).description(description))
      .argument('[id]', 'number of the statement', positiveInteger)
      .option('--callback <name>', 'with --all: those of this callback, instead of a number')
      .option('--all', 'with --callback: all of it that wait');
    if (action === 'skip') {
      command
        .option('--reason <text>', 'why; for the audit log')
        .option('--yes', 'skip several without asking');
    }
    command
      .addHelpText('after', example)
      .action((id: number | undefined, options: SettlementActionOptions) =>
        actOnSettlements(action, id, options, io),
      );
  }
}
