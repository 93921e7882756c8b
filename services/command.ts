/** Runs a program to its end, with its output line by line, for steps that take long enough to show. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Each line of standard output, as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface CommandResult {
  /** Exit code; 127 when the program is not there, as a shell says it; -1 when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const NOT_FOUND = 127;
/** Both streams are kept up to here, in characters: enough for any message, bounded for any program. */
const KEPT_CHARACTERS = 1_000_000;

/** Never rejects for what the program does: the caller judges the code. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, LC_ALL: 'C', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (stdout.length < KEPT_CHARACTERS) stdout += `${line}\n`;
      options.onLine?.(line);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-KEPT_CHARACTERS);
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve({ code: NOT_FOUND, stdout, stderr });
      else reject(error);
    });
    child.on('close', (code) => {
      resolve({ code: code ?? -1, stdout, stderr });
    });
  });
}
