/**
 * Named places where a test ends the process as a power cut would (SIGKILL to itself). Unarmed, a
 * failpoint is one comparison. main.ts arms one from ROWCALL_FAILPOINT=`name` or `name:n` (n-th pass).
 */
export const FAILPOINTS = [
  'after-append-before-ack',
  'after-callback-before-cursor',
  'after-lane-write',
] as const;

/** Those that only XA transactions come to. */
export const XA_FAILPOINTS = [
  'after-xa-prepare',
  'while-xa-rows-are-read-again',
  'after-xa-rows-before-their-end',
  'after-xa-outcome',
] as const;

/** Those that only dead letters come to which are mirrored. */
export const MIRROR_FAILPOINTS = ['before-dead-letter-mirror', 'after-dead-letter-mirror'] as const;

export type Failpoint =
  (typeof FAILPOINTS)[number] | (typeof XA_FAILPOINTS)[number] | (typeof MIRROR_FAILPOINTS)[number];

let armed: Failpoint | undefined;
let passesLeft = 0;

export function armFailpoint(name: Failpoint, pass = 1): void {
  armed = name;
  passesLeft = pass;
}

export function failpoint(name: Failpoint): void {
  if (armed !== name) return;
  passesLeft -= 1;
  if (passesLeft === 0) process.kill(process.pid, 'SIGKILL');
}

/** What is armed, to arm a worker thread alike: each thread has a copy of this module. */
export function armedFailpoint(): { readonly name: Failpoint; readonly pass: number } | undefined {
  return armed === undefined ? undefined : { name: armed, pass: passesLeft };
}
