/** A callback whose handler runs in the process, which it may end: how what ended it is found, and given up in the end. */

import type { ChangeLog } from '../../log/change-log.ts';
import type { AloneAttempt, HandlerChange } from '../../state/handler-store.ts';
import type { DueResend } from '../../state/resend-store.ts';
import type { Cursor, DueLane, StateStore } from '../../state/state-store.ts';
import type { CallbackOptions } from '../callback-options.ts';
import type { Failed, Outcome } from '../callback/sender.ts';
import type { Progress } from '../settle/progress.ts';
import type { Settler } from '../settle/settler.ts';
import type { HandlerTurns } from './handler-turns.ts';
import type { PendingEvent } from './pending-event.ts';
import { UnsettledWindow } from './unsettled-window.ts';
import { maxEvents } from './window.ts';

/** What an attempt came to under which the process ended. */
export const CUT_OFF: Failed = {
  kind: 'failed',
  error: 'handler-crashed: the process ended during this attempt',
  cause: 'system',
};

export interface HandlerCareParts {
  readonly options: CallbackOptions;
  readonly state: StateStore;
  readonly settler: Settler;
  readonly log: Pick<ChangeLog, 'bounds'>;
  readonly handlers: HandlerTurns;
  /** Ends attempts in flight, and those that wait for their turn. */
  readonly abandon: AbortSignal;
}

/** It is judged, in the same commit: it goes alone until it leaves its lane, and is not under way any more. */
export function judged(cutOff: DueLane | DueResend): HandlerChange[] {
  const { callback, topic, key } = cutOff;
  const ended: HandlerChange = { type: 'handler-alone', callback, attempt: null };
  if ('resend' in cutOff) return [ended];
  const { offset } = cutOff.head;
  return [{ type: 'lane-suspect', callback, topic, key, offset, level: 2 }, ended];
}

/**
 * While handlers are at work that is stored. Where a start finds it, the process before was killed, and each event
 * that it may have had in hand goes into its key's lane as a suspect. A suspect is tried while no other handler runs,
 * and that is durable before it is. So when the process ends again, who ended it is known: that attempt counts as failed.
 * Attempts of lanes are stored before they are made as well, for those of them that are cut off are suspects then.
 *
 * Invariant: of an event only one attempt that ended the process counts for nothing, the one on the fast path.
 */
export class HandlerCare {
  readonly #parts: HandlerCareParts;
  readonly #size: number;
  readonly #window: UnsettledWindow;
  #careful: boolean;

  /** Null where nothing of it runs in the process. */
  static async open(
    parts: HandlerCareParts,
    cursors: readonly Cursor[],
  ): Promise<HandlerCare | null> {
    const { options, state, settler, log, handlers } = parts;
    if (options.inProcess !== true) return null;
    const { runs } = await state.handlers();
    const before = runs.find(({ callback }) => callback === options.name);
    const careful = before !== undefined && (before.careful || !handlers.wasAlone);
    const own = maxEvents(options);
    // Those that were superseded leave the window before that is durable.
    const events = options.coalesceMs === undefined ? (before?.window ?? own) : Infinity;
    const bounds = log.bounds.bind(log);
    const window = await UnsettledWindow.of(careful ? cursors : [], events, bounds);
    const size = careful ? Math.max(own, before.window) : own;
    const care = new HandlerCare(parts, size, window);
    await settler.durable();
    return care;
  }

  private constructor(parts: HandlerCareParts, size: number, window: UnsettledWindow) {
    this.#parts = parts;
    this.#size = size;
    this.#window = window;
    this.#careful = !window.passed;
    this.#store({ window: size, careful: this.#careful });
  }

  /** An event comes to the fast path. */
  offered(event: PendingEvent): void {
    if (this.#careful) this.#window.offered(event);
  }

  /** It may have ended the process, and is not to be tried on the fast path. */
  isSuspect(event: PendingEvent): boolean {
    return this.#careful && this.#window.has(event);
  }

  /** Its outcome, or its place in a lane, is durable. */
  left(event: PendingEvent): void {
    if (!this.#careful) return;
    this.#window.gone(event);
    this.#passed();
  }

  /** It goes to its lane with the next commit: as a suspect, where it is one and becomes the head. */
  laned(event: PendingEvent): void {
    if (!this.isSuspect(event)) return;
    const { progress, key, record } = event;
    const { callback, topic } = progress.key;
    const head = { callback, topic, key, offset: record.offset };
    this.#parts.settler.change({ type: 'lane-suspect', ...head, level: 1 });
  }

  /**
   * Makes an attempt when its turn has come. Null where none is to be made any more by then.
   *
   * @param from the lane of whose head, or the resend of which it is; null on the fast path
   */
  async attempt(
    from: DueLane | DueResend | null,
    send: () => Promise<Outcome>,
    isStopping: () => boolean,
  ): Promise<Outcome | null> {
    const { handlers } = this.#parts;
    const alone = from !== null && ('resend' in from || from.suspect === true);
    await handlers.enter(alone, this.#parts.abandon);
    try {
      if (from !== null && !isStopping()) await this.#begin(from, alone);
      return isStopping() ? null : await send();
    } finally {
      if (alone) this.#endAlone();
      else handlers.leave(false);
    }
  }

  /** Nothing is under way any more. What has yet to go into lanes does so after the next start. */
  end(partitions: readonly Progress[]): void {
    for (const progress of partitions) this.#window.settledUpTo(progress);
    this.#store(this.#window.passed ? null : { window: this.#size, careful: true });
  }

  async #begin(from: DueLane | DueResend, alone: boolean): Promise<void> {
    const { settler } = this.#parts;
    const { callback, topic, key } = from;
    const attempt: AloneAttempt =
      'resend' in from
        ? { callback, topic, key, offset: from.event.offset, deadLetter: from.deadLetter }
        : { callback, topic, key, offset: from.head.offset, deadLetter: null };
    const { offset } = attempt;
    if (alone) settler.change({ type: 'handler-alone', callback, attempt });
    else settler.change({ type: 'lane-suspect', callback, topic, key, offset, level: 1 });
    await settler.durable();
  }

  /** Nothing else begins before that is durable, or it would be taken for what ended the process. */
  #endAlone(): void {
    const { settler, handlers, options } = this.#parts;
    settler.change({ type: 'handler-alone', callback: options.name, attempt: null });
    const leave = (): void => {
      handlers.leave(true);
    };
    // Where it fails the settler has told of it, and the leg ends.
    settler.durable().then(leave, leave);
  }

  #passed(): void {
    if (!this.#window.passed) return;
    this.#careful = false;
    this.#store({ window: this.#size, careful: false });
  }

  #store(run: { readonly window: number; readonly careful: boolean } | null): void {
    const { settler, options } = this.#parts;
    settler.change({ type: 'handler-run', callback: options.name, run });
  }
}
