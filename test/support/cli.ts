/** Commands of the program within the test's own process. */
import type { CliIo } from '../../src/operate/cli/io.ts';

export interface CommandOutput {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs what a command does with its input and output; gathers both. */
export async function gather(
  run: (io: CliIo) => Promise<number>,
  more: Partial<CliIo> = {},
): Promise<CommandOutput> {
  let out = '';
  let err = '';
  const code = await run({
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    terminal: false,
    env: {},
    signal: new AbortController().signal,
    ...more,
  });
  return { code, out, err };
}
