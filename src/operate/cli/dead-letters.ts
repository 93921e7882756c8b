/** `rowcall dead-letters list|show`: events that were given up. */

import type { DeadLetter } from '../../state/state-store.ts';
import type { CliIo } from './io.ts';
import { inCell, printJson, printList, storedPage } from './listing.ts';
import { withState } from './stores.ts';

export async function listDeadLetters(
  options: {
    readonly config: string;
    readonly callback?: string;
    readonly limit: number;
    readonly after?: number;
    readonly json?: boolean;
  },
  io: CliIo,
): Promise<void> {
  const { callback, after, limit } = options;
  await withState(options.config, io, async (state) => {
    const letters = await state.deadLetters({
      ...(callback === undefined ? {} : { callback }),
      ...(after === undefined ? {} : { afterId: after }),
      limit,
    });
    printList(io, storedPage(letters, limit), {
      json: options.json,
      item,
      empty: 'No dead letters.',
      command: 'dead-letters list',
      headings: ['id', 'callback', 'key', 'event id', 'attempts', 'given up', 'cause', 'error'],
      cells: (letter) => [
        ...[letter.id, letter.callback, letter.key, letter.event.id, letter.attempts],
        new Date(letter.diedAt).toISOString(),
        letter.cause,
        inCell(letter.error),
      ],
    });
  });
}

/** With the event's value, the envelope as it stands in the log. */
export async function showDeadLetter(
  id: number,
  options: { readonly config: string; readonly json?: boolean },
  io: CliIo,
): Promise<void> {
  await withState(options.config, io, async (state) => {
    const { deadLetter, value } = await state.deadLetter(id);
    const text = value === null ? null : Buffer.from(value).toString();
    if (options.json === true) {
      printJson(io, { ...item(deadLetter), value: text });
      return;
    }
    const { callback, topic, key, event, attempts, cause, error, diedAt, version } = deadLetter;
    io.out(
      `Dead letter ${id}: ${callback}, ${topic}/${event.partition}@${event.offset}, key ${key}\n` +
        `${event.id}\n${attempts} attempts${version === null ? '' : ` (the last by version ${version})`}, given up ${new Date(diedAt).toISOString()}\n` +
        `last error: ${error} (${cause})\n\n${text ?? 'no value'}\n`,
    );
  });
}

function item(letter: DeadLetter): object {
  const { event } = letter;
  return {
    id: letter.id,
    callback: letter.callback,
    topic: letter.topic,
    partition: event.partition,
    offset: event.offset,
    key: letter.key,
    event_id: event.id,
    table: event.table,
    op: event.operation,
    attempts: letter.attempts,
    first_attempt_at: new Date(letter.firstAttemptAt).toISOString(),
    given_up_at: new Date(letter.diedAt).toISOString(),
    last_error: letter.error,
    cause: letter.cause,
    version: letter.version,
  };
}
