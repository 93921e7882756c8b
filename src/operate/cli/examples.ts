/** What every command's help shows at its end: a line that can be typed as it is, with another name. */

import type { Command } from 'commander';
import { pathOf } from './usage-error.ts';

/** By command; those that are not here have a longer help of their own. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  run: ['-c rowcall.yaml'],
  connect: ['-c rowcall.yaml'],
  deliver: ['-c rowcall.yaml'],
  validate: ['-c rowcall.yaml', '-c rowcall.yaml --print'],
  doctor: ['-c rowcall.yaml'],
  status: ['-c rowcall.yaml', '-c rowcall.yaml --json'],
  ledger: ['-c rowcall.yaml --recount'],
  version: [''],
  'callbacks list': [
    '-c rowcall.yaml',
    '--url http://127.0.0.1:8686 --token "$VIEWER_TOKEN" --json',
  ],
  'callbacks show': ['billing -c rowcall.yaml'],
  'callbacks enable': ["billing -c rowcall.yaml --reason 'the receiver is mended'"],
  'callbacks disable': ["billing -c rowcall.yaml --reason 'the receiver moves'"],
  'callbacks resume': ["billing -c rowcall.yaml --reason 'the receiver is back'"],
  'callbacks register': ["mail.yaml -c rowcall.yaml --reason 'orders by mail'"],
  'callbacks preview': [
    'billing -c rowcall.yaml --last 500',
    '--file mail.yaml -c rowcall.yaml --requests',
  ],
  'callbacks test': ["billing -c rowcall.yaml --requests --reason 'after the move'"],
  'callbacks versions': ['billing -c rowcall.yaml'],
  'callbacks diff': ['billing 3 4 -c rowcall.yaml'],
  'callbacks rollback': ["billing 3 -c rowcall.yaml --reason 'version 4 was wrong'"],
  'callbacks rotate-secret': [
    "billing -c rowcall.yaml --reason 'every quarter'",
    "billing -c rowcall.yaml --retire --reason 'the receiver has the new one'",
  ],
  'callbacks remove': ["billing -c rowcall.yaml --yes --reason 'nobody listens'"],
  'lanes list': ['-c rowcall.yaml --callback billing'],
  'lanes show': ['7 -c rowcall.yaml'],
  'lanes retry': ['7 -c rowcall.yaml', '--callback billing --all -c rowcall.yaml'],
  'lanes skip': [
    "7 -c rowcall.yaml --event '3e11fa47-71ca-11e1-9e33-c80aa9429562:23:shop/orders:1' --reason 'the order was deleted'",
    "--callback billing --key '{\"id\":1}' -c rowcall.yaml --reason 'the order was deleted'",
  ],
  'lanes park': ["7 -c rowcall.yaml --reason 'the receiver looks into it'"],
  'dead-letters list': ['-c rowcall.yaml --callback billing'],
  'dead-letters show': ['17 -c rowcall.yaml'],
  'dead-letters resends list': ['-c rowcall.yaml --callback billing'],
  'dead-letters resends show': ['3 -c rowcall.yaml --wait'],
  'dead-letters resends pause': ["3 -c rowcall.yaml --reason 'the receiver is slow'"],
  'dead-letters resends resume': ["3 -c rowcall.yaml --reason 'the receiver is well'"],
  'dead-letters resends cancel': ["3 -c rowcall.yaml --reason 'the wrong ones'"],
  'replay list': ['-c rowcall.yaml --callback billing'],
  'replay show': ['3 -c rowcall.yaml'],
  'replay pause': ["3 -c rowcall.yaml --reason 'the receiver is slow'"],
  'replay resume': ["3 -c rowcall.yaml --reason 'the receiver is well'"],
  'replay cancel': ["3 -c rowcall.yaml --reason 'the wrong day'"],
  explain: [
    "'3e11fa47-71ca-11e1-9e33-c80aa9429562:23:shop/orders:1' --callback billing -c rowcall.yaml",
  ],
  tail: ["-c rowcall.yaml --table 'shop.*' --values", '-c rowcall.yaml --callback billing --json'],
  audit: ['-c rowcall.yaml --callback billing'],
  'position show': ['-c rowcall.yaml'],
  'position set': [
    '-c rowcall.yaml --timestamp 2026-01-31T08:00:00Z',
    '-c rowcall.yaml --gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-23 --yes',
  ],
  'position reset': ['-c rowcall.yaml', '-c rowcall.yaml --yes'],
};

export function addExamples(program: Command): void {
  for (const command of program.commands) {
    const path = pathOf(command);
    const examples = EXAMPLES[path.split(' ').slice(1).join(' ')] ?? [];
    const lines = examples.map((rest) => `  ${path} ${rest}`.trimEnd());
    if (lines.length > 0) command.addHelpText('after', `\n${lines.join('\n')}`);
    addExamples(command);
  }
}
