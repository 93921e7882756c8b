/** The commands under `rowcall callbacks`, and their options. */

import type { Command } from 'commander';
import { previewCallback, type PreviewOptions, testCallback } from './callback-trials.ts';
import type { CliIo } from './io.ts';
import { addApiOptions, positiveInteger } from './options.ts';
import {
  actOnCallback,
  type CallbackCommandOptions,
  diffVersions,
  listCallbacks,
  listVersions,
  registerCallback,
  removeCallback,
  rollBack,
  rotateSecret,
  showCallback,
} from './callbacks.ts';

export function addCallbacks(program: Command, io: CliIo): void {
  const callbacks = program
    .command('callbacks')
    .description('who is called back, and who is not now');
  const command = (name: string, description: string): Command =>
    addApiOptions(callbacks.command(name).description(description));
  const changing = (name: string, description: string): Command =>
    command(name, description).option('--reason <text>', 'why; for the audit log');

  command('list', 'list all callbacks: whether they are enabled, and what they are doing').action(
    (options: CallbackCommandOptions) => listCallbacks(options, io),
  );
  command('show', 'one callback')
    .argument('<name>')
    .action((name: string, options: CallbackCommandOptions) => showCallback(name, options, io));
  for (const [action, description] of ACTIONS) {
    changing(action, description)
      .argument('<name>')
      .action((name: string, options: CallbackCommandOptions) =>
        actOnCallback(action, name, options, io),
      );
  }
  changing('register', 'make a callback from a file that holds one')
    .argument('<file>', 'YAML or JSON, as it would stand under callbacks')
    .option('--replace', 'also where there is one of its name')
    .action((file: string, options: CallbackCommandOptions & { replace?: boolean }) =>
      registerCallback(file, options, io),
    );
  addTrials(command, io);
  command('versions', 'what a callback was, the newest first')
    .argument('<name>')
    .action((name: string, options: CallbackCommandOptions) => listVersions(name, options, io));
  command('diff', 'what differs between two versions')
    .argument('<name>')
    .argument('<from>', 'number of a version', positiveInteger)
    .argument('<to>', 'number of a version', positiveInteger)
    .action((name: string, from: number, to: number, options: CallbackCommandOptions) =>
      diffVersions(name, { from, to }, options, io),
    );
  changing('rollback', 'make an earlier version the newest; secrets stay as they are now')
    .argument('<name>')
    .argument('<version>', 'number of a version', positiveInteger)
    .action((name: string, version: number, options: CallbackCommandOptions) =>
      rollBack(name, version, options, io),
    );
  changing('rotate-secret', 'sign with a new secret, and with the newest of before')
    .argument('<name>')
    .option('--retire', 'make none: sign with the newest alone')
    .option('--drop-older', 'also where the one before is not retired: it signs no more')
    .action(
      (name: string, options: CallbackCommandOptions & { retire?: boolean; dropOlder?: boolean }) =>
        rotateSecret(name, options, io),
    );
  changing('remove', 'remove a callback with all that waits for it; it cannot be undone')
    .argument('<name>')
    .option('--yes', 'also where events wait for it')
    .action((name: string, options: CallbackCommandOptions) => removeCallback(name, options, io));
}

function addTrials(command: (name: string, description: string) => Command, io: CliIo): void {
  const requests = ['--requests', 'show the requests whole; what is secret stands as ***'] as const;
  command('preview', 'which of the newest events a callback would get, and in what requests')
    .argument('[name]')
    .option(
      '--file <file>',
      'one that is not made yet: YAML or JSON, as it would stand under callbacks',
    )
    .option('--last <n>', 'look at so many events, 1,000 at most', positiveInteger, 100)
    .option(...requests)
    .action((name: string | undefined, options: PreviewOptions) =>
      previewCallback(name, options, io),
    );
  command('test', 'send a sample event, marked by rowcall-test: true; it is in no books')
    .argument('<name>')
    .option('--event <id>', 'with the row of this event; else with a made-up one')
    .option('--reason <text>', 'why; for the audit log')
    .option(...requests)
    .action((name: string, options: Parameters<typeof testCallback>[1]) =>
      testCallback(name, options, io),
    );
}

const ACTIONS = [
  ['enable', 'go on with a disabled callback, at the event where it stopped'],
  ['disable', 'send nothing more and hold the events; what is in flight ends'],
  ['resume', 'go on now, whatever the endpoint asked to wait for'],
] as const;
