/** What a reload may not change: everything but callbacks takes effect at a start alone. */

import { changedBesideCallbacks } from './config/same.ts';
import type { Config } from './config/schema.ts';
import { RowcallError } from './errors.ts';

/** @throws RowcallError RESTART_NEEDED */
export function requireSameBesideCallbacks(running: Config, next: Config): void {
  if (next.name !== running.name) throw renamed(running.name, next.name);
  const others = changedBesideCallbacks(running, next);
  if (others.length === 0) return;
  const text = `Only callbacks can be changed while the process runs; this file changes: ${others.join(', ')}`;
  throw new RowcallError('RESTART_NEEDED', text);
}

/** A restart would not go on with the new name, as with other changes: it would begin anew. */
function renamed(running: string, next: string): RowcallError {
  return new RowcallError(
    'RESTART_NEEDED',
    `The file has name: ${next}, and this process runs as ${running}: nothing of the file is taken`,
    {
      place: 'name',
      cure: `Write name: ${running} again, and send SIGHUP once more. Checkpoint, topics and consumer groups go by the name: a ${next} is another pipeline, which begins where its source.start says. Give it a file, a log and a state store of its own.`,
    },
  );
}
