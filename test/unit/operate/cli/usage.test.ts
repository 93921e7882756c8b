import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildProgram, runCli } from '../../../../src/operate/cli/cli.ts';
import { pathOf } from '../../../../src/operate/cli/usage-error.ts';
import { type CommandOutput, gather } from '../../../support/cli.ts';

const run = (...argv: readonly string[]): Promise<CommandOutput> =>
  gather((io) => runCli(argv, io));

function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

const io = {
  ...{ out: () => undefined, err: () => undefined, terminal: false, env: {} },
  signal: new AbortController().signal,
};
const COMMANDS = leaves(buildProgram(io)).map((command) => pathOf(command));

describe('the help', () => {
  it.each(COMMANDS)('of %s says what it does, with an example', async (path) => {
    const { code, out } = await run(...path.split(' ').slice(1), '--help');
    expect(code).toBe(0);
    const [usage = '', , what = ''] = out.split('\n');
    expect(usage).toContain(`Usage: ${path}`);
    expect(what).toMatch(/^\S.{8}/);
    expect(out).toMatch(new RegExp(`^ {2}${path}(?: |$)`, 'm'));
  });
});

describe('what is wrong on the command line', () => {
  it.each([
    [['frob'], "Unknown command 'frob'", 'rowcall --help shows the commands.'],
    [
      ['callbacks', 'list', '--jsn'],
      "Unknown option '--jsn'",
      'Did you mean --json? rowcall callbacks list --help shows how it is used.',
    ],
    [
      ['lanes', 'retry', 'x', '-c', 'f'],
      "Command-argument value 'x' is invalid for argument 'id'. It must be a whole number from 1.",
      'rowcall lanes retry --help shows how it is used.',
    ],
    [
      ['status'],
      "Required option '-c, --config <file>' not specified",
      'rowcall status --help shows how it is used.',
    ],
  ])('%j is told with the code and the cure', async (argv, message, cure) => {
    expect(await run(...argv)).toEqual({
      ...{ code: 2, out: '' },
      err: `error USAGE: ${message}\n  cure  ${cure}\n`,
    });
  });

  it('is told to a program as JSON', async () => {
    const { code, out, err } = await run('lanes', 'list', '-c', 'f', '--json', '--frob');
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(JSON.parse(err)).toEqual({
      code: 'USAGE',
      detail: "Unknown option '--frob'",
      cure: 'rowcall lanes list --help shows how it is used.',
    });
    const file = await run('status', '--json', '-c', '/nonexistent/rowcall.yaml');
    expect(JSON.parse(file.err)).toMatchObject({
      code: 'CONFIG_INVALID',
      place: '/nonexistent/rowcall.yaml',
    });
  });

  it('with a group of commands alone is its help', async () => {
    const { code, err } = await run('lanes');
    expect(code).toBe(2);
    expect(err).toContain('Usage: rowcall lanes [options] [command]');
  });

  it.each([
    [['position', 'set', '-c', 'f', '--from', '10:00'], '--timestamp 2026-01-31T08:00:00Z'],
    [['events', '-c', 'f', '--from', '10:00'], 'date and zone, such as 2026-01-31T08:00:00Z'],
    [
      ['dead-letters', 'resend', '--callback', 'a', '--to', '2026-01-31'],
      'such as 2026-01-31T08:00:00Z',
    ],
    [['binlog', 'binlog.000042', '--from', '10:00'], 'such as 2026-11-21T13:00:00Z'],
    [['binlog', 'binlog.000042', '--to', '9:30:15Z'], 'such as 2026-11-21T13:00:00Z'],
    [['binlog', 'binlog.000042', '--from', '3'], 'FILE:POSITION, such as binlog.000042:157'],
  ])('%j is told how a time or a place is written', async (argv, words) => {
    const { code, err } = await run(...argv);
    expect(code).toBe(2);
    expect(err).toMatch(/^error USAGE: /);
    expect(err).toContain(words);
  });
});
