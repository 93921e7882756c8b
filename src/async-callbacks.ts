/** The parts that asynchronous callbacks share in one process, as the configuration asks for them. */

import type { CallbackConfig, Config } from './config/schema.ts';
import type { AsyncOptions } from './deliver/callback-options.ts';
import type { Sender } from './deliver/callback/sender.ts';
import { AsyncSender } from './deliver/completion/async-sender.ts';
import { AttemptsInFlight } from './deliver/completion/attempts-in-flight.ts';
import { CompletionDesk } from './deliver/completion/completion-desk.ts';
import { CompletionsServer } from './operate/completions/server.ts';
import type { Clock } from './shared/clock.ts';
import type { Logger } from './shared/logger.ts';
import type { StateStore } from './state/state-store.ts';

/** Null where nobody listens for completions. */
export async function completionDesk(
  { completions }: Config,
  state: StateStore,
  clock: Clock,
): Promise<CompletionDesk | null> {
  if (completions === null) return null;
  const { publicUrl } = completions;
  return new CompletionDesk({ state, clock, publicUrl, key: await state.completionKey() });
}

/** Null where nobody listens for completions. */
export function completionsServer(
  { completions }: Config,
  desk: CompletionDesk | null,
  parts: { readonly clock: Clock; readonly logger: Logger },
): CompletionsServer | null {
  return completions === null || desk === null
    ? null
    : new CompletionsServer({ ...completions.listen, desk, ...parts });
}

/** The sender with what 202 means to it; the same where the callback is not asynchronous. */
export function asynchronous(
  sender: Sender,
  { name, deliver }: CallbackConfig,
  desk: CompletionDesk | null,
): { readonly sender: Sender; readonly async?: AsyncOptions } {
  if (deliver.type !== 'http' || deliver.async === null || desk === null) return { sender };
  const { deadlineMs, heartbeatMs } = deliver.async;
  const attempts = new AttemptsInFlight();
  return {
    sender: new AsyncSender(sender, {
      callback: name,
      attempts,
      endingOf: (attempt) => desk.endingOf(attempt),
      urlOf: (attempt) => desk.urlOf(attempt),
      statusUrlOf: null,
    }),
    async: { deadlineMs, heartbeatMs, attempts, poller: null },
  };
}
