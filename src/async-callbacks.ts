/** The parts that asynchronous callbacks share in one process, as the configuration asks for them. */

import type { CallbackConfig, Config, PollConfig } from './config/schema.ts';
import type { AsyncOptions } from './deliver/callback-options.ts';
import type { Sender } from './deliver/callback/sender.ts';
import { AsyncSender } from './deliver/completion/async-sender.ts';
import { AttemptsInFlight } from './deliver/completion/attempts-in-flight.ts';
import { CompletionDesk } from './deliver/completion/completion-desk.ts';
import type { HttpStatusPoller } from './deliver/completion/http-status-poller.ts';
import { statusUrlOf } from './deliver/completion/status-url.ts';
import { AnswerText } from './expression/answer-expression.ts';
import { statusPoller } from './http-callback.ts';
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

interface AsyncParts {
  readonly desk: CompletionDesk | null;
  readonly version: string;
  readonly clock: Clock;
}

interface Polled {
  readonly name: string;
  readonly url: string;
  readonly deadlineMs: number;
  readonly completion: PollConfig;
}

interface AsyncCallback {
  readonly sender: Sender;
  readonly async?: AsyncOptions;
}

/** The sender with what 202 means to it; the same where the callback is not asynchronous. */
export async function asynchronous(
  sender: Sender,
  callback: CallbackConfig,
  { desk, version, clock }: AsyncParts,
): Promise<AsyncCallback> {
  const { name, deliver, concurrency } = callback;
  if (deliver.type !== 'http' || deliver.async === null) return { sender };
  const { completion } = deliver.async;
  if (completion !== null) {
    const surroundings = { callback: name, concurrency, version, clock };
    const poller = await statusPoller(deliver, completion, surroundings);
    const { deadlineMs } = deliver.async;
    return polled(sender, poller, { name, url: deliver.url, deadlineMs, completion });
  }
  const { deadlineMs, heartbeatMs } = deliver.async;
  // Without one nothing is ever sent: the callback is only looked at.
  if (desk === null) return { sender };
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

/** Its end is asked for, and nobody can tell it. */
function polled(
  sender: Sender,
  poller: HttpStatusPoller,
  { name, url: callbackUrl, deadlineMs, completion }: Polled,
): AsyncCallback {
  const attempts = new AttemptsInFlight();
  const url = completion.url === null ? null : new AnswerText(completion.url);
  return {
    sender: new AsyncSender(sender, {
      callback: name,
      attempts,
      endingOf: () => Promise.resolve(null),
      urlOf: null,
      statusUrlOf: (answer) => statusUrlOf(answer, { callbackUrl, url }),
      poller,
    }),
    async: { deadlineMs, heartbeatMs: completion.intervalMs, attempts, poller },
  };
}
