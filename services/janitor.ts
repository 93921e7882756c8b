/** Sees to it that no server and no data folder outlives the run that made them, however the run ends. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import type { Writable } from 'node:stream';

/**
 * $1 the folder to remove (empty: none), $2 the signal, $3 what stands in the server's command line: a pid alone
 * could by then belong to a stranger. Each line of standard input is the pid to watch (empty: none).
 * The wait is bounded, because in a container without a reaper a dead process stays as a zombie.
 */
const SCRIPT = `
trap '' HUP INT TERM
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ] && tr '\\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$3"; then
  kill "-$2" "$pid" 2>/dev/null
  n=0
  while [ "$n" -lt 200 ] && tr '\\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$3"; do
    n=$((n + 1)); sleep 0.1
  done
fi
[ -z "$1" ] || rm -rf -- "$1"
`;

export interface JanitorOptions {
  /** Removed when the run has ended; undefined where the process has none of its own. */
  readonly folder: string | undefined;
  /** Sent to the watched process when the run ended without stopping it. */
  readonly signal: 'TERM' | 'KILL';
  /** A text that stands in the command line of the watched process and of no other. */
  readonly mark: string;
}

/**
 * A shell of its own session that waits for its standard input to end. The kernel closes that pipe
 * when this process is gone: by a normal exit, Ctrl-C, a failed run or SIGKILL alike. Without it a
 * `kill -9` of the tests would leave a MySQL server running for good.
 */
export class Janitor {
  readonly #child: ChildProcessByStdio<Writable, null, null>;

  constructor(options: JanitorOptions) {
    this.#child = spawn(
      'sh',
      ['-c', SCRIPT, 'rowcall-janitor', options.folder ?? '', options.signal, options.mark],
      { stdio: ['pipe', 'ignore', 'ignore'], detached: true, cwd: '/' },
    );
    // It never keeps this process alive; its own end is of no interest.
    this.#child.unref();
    this.#child.stdin.on('error', () => undefined);
  }

  watch(pid: number | undefined): void {
    this.#child.stdin.write(`${pid ?? ''}\n`);
  }

  /** Lets it clean up now. */
  release(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        resolve();
        return;
      }
      this.#child.once('exit', () => {
        resolve();
      });
      this.#child.ref();
      this.#child.stdin.end();
    });
  }
}
