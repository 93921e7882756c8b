#!/usr/bin/env node
/** The program: argv in, exit code out. The only place that ends the process or hears signals. */

/**
 * V8 sizes its heap for a machine that it has for itself, and the C library keeps what was freed: the same
 * work then takes twice the memory. What reads much begins anew in its own process with a heap that grows in small
 * steps and an allocator that gives large blocks back; the process id stays the same. See docs/adr/0006.
 */
const HEAP_OPTIONS = ['--max-semi-space-size=4', '--heap-growing-percent=30', '--expose-gc'];
const ALLOCATOR = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072' };
/** The daemons, and what reads as much as one. */
const LEAN: ReadonlySet<string | undefined> = new Set(['run', 'connect', 'deliver', 'binlog']);

function beginWithSmallHeap(): void {
  const set = HEAP_OPTIONS.every((option) => process.execArgv.includes(option));
  if (set || process.execve === undefined || process.platform === 'win32') return;
  const options = [...process.execArgv, ...HEAP_OPTIONS];
  const argv = [process.execPath, ...options, ...process.argv.slice(1)];
  process.execve(process.execPath, argv, { ...ALLOCATOR, ...process.env });
}

const NODE_MAJOR = 24;
const NODE_MINOR = 15;
/** After this many signals the process leaves at once. */
const LEAVE_AT = 2;

/** Before anything is imported that an older Node does not have: its own error would name a module, not the cure. */
function requireNode(): void {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > NODE_MAJOR || (major === NODE_MAJOR && minor >= NODE_MINOR)) return;
  process.stderr.write(
    `error USAGE: Rowcall needs Node ${NODE_MAJOR}.${NODE_MINOR} or newer; this is ${process.versions.node}\n` +
      '  cure  In a clone, npm run -s rowcall -- … uses the Node that npm ci brought.\n',
  );
  process.exit(2);
}

/** A pipe whose reader is slow must not fill our memory. */
function drained(): Promise<void> {
  if (!process.stdout.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    process.stdout.once('drain', resolve);
  });
}

/** Anything but a yes is a no: also the end of the input, and a signal. */
async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  const { createInterface } = await import('node:readline');
  const lines = createInterface({ input: process.stdin, terminal: false });
  const close = (): void => {
    lines.close();
  };
  signal.addEventListener('abort', close, { once: true });
  process.stderr.write(question);
  try {
    return await new Promise((resolve) => {
      lines.once('close', () => {
        resolve(false);
      });
      lines.once('line', (answer) => {
        resolve(/^y(?:es)?$/i.test(answer.trim()));
      });
    });
  } finally {
    signal.removeEventListener('abort', close);
    lines.close();
  }
}

async function main(): Promise<void> {
  requireNode();
  if (LEAN.has(process.argv[2])) beginWithSmallHeap();
  // Only now: what is loaded before the process begins anew is loaded twice.
  const { runCli } = await import('./operate/cli/cli.ts');
  const stop = new AbortController();
  let signals = 0;
  const onSignal = (name: NodeJS.Signals): void => {
    signals += 1;
    if (signals >= LEAVE_AT) {
      process.stderr.write(`Leaving at once (${name}): what was in flight may come again\n`);
      process.exit(128 + (name === 'SIGINT' ? 2 : 15));
    }
    stop.abort(new Error(`Stopped by ${name}`));
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  // A reader that went away (`rowcall status | head`) is no failure of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });

  const code = await runCli(process.argv.slice(2), {
    out: (text) => process.stdout.write(text),
    outBytes: (bytes) => process.stdout.write(bytes),
    drained,
    colours: process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '',
    err: (text) => process.stderr.write(text),
    terminal: process.stderr.isTTY,
    ...(process.stdin.isTTY
      ? { confirm: (question: string) => confirm(question, stop.signal) }
      : {}),
    env: process.env,
    signal: stop.signal,
    onHangUp: (listener) => process.on('SIGHUP', listener),
  });
  // Output to a pipe is asynchronous: leaving before it is flushed would cut it.
  process.stdout.write('', () => process.exit(code));
}

await main();

export {};
