/** A person who has dead letters sent again while everything goes on: one, changed or as it was, or many. */
import type { Deliver } from '../../src/deliver/deliver.ts';
import { RowcallError } from '../../src/errors.ts';
import type { Resend, ResendAction } from '../../src/state/resend-store.ts';
import type { Asked, DeadLetter } from '../../src/state/state-store.ts';
import type { OperatorParts } from './simulation-operator.ts';
import { EPOCH_MS, type Owner } from './simulation-scheduler.ts';
import type { Dice } from './workload-random.ts';

/** Virtual ms between two looks, at the most. */
const LONGEST_REST_MS = 800;

/**
 * Works on the store as the API does, and tells the process of it, as the API does: without that nothing would be looked
 * for, since a resend is rare.
 */
export class SimulatedResender {
  readonly #parts: OperatorParts;
  readonly #dice: Dice;
  /** A 202 would find no lane: such a callback's dead letters are not sent again. */
  readonly #callbacks: ReadonlySet<string>;
  #running: { readonly owner: Owner; readonly deliver: Deliver } | null = null;
  #resting = false;

  constructor(parts: OperatorParts, dice: Dice, callbacks: readonly string[]) {
    this.#parts = parts;
    this.#dice = dice;
    this.#callbacks = new Set(callbacks);
  }

  opened(owner: Owner, deliver: Deliver): void {
    this.#running = { owner, deliver };
  }

  begin(): void {
    const { scheduler, owner, onViolation } = this.#parts;
    const ms = this.#dice.between(50, LONGEST_REST_MS);
    scheduler.after(ms, owner, 'a person looks at the dead letters', () => {
      this.#look()
        .catch(onViolation)
        .finally(() => {
          this.begin();
        });
    });
  }

  /** From here on what was asked for goes on, and nothing else is asked for. */
  onlyResumes(): void {
    this.#resting = true;
  }

  async #look(): Promise<void> {
    const { state, books } = this.#parts;
    const all = await state.deadLetters({ limit: 1_000 });
    const letters = all.filter(({ callback }) => this.#callbacks.has(callback));
    books.resends.seen(letters);
    const [first, ...others] = letters;
    if (first !== undefined && !this.#resting && this.#dice.chance(0.6)) {
      await this.#ask(this.#dice.pick([first, ...others]), letters);
    }
    for (const resend of await state.resends({ limit: 1_000 })) await this.#actOn(resend);
    await books.resends.verify(state);
    this.#tell();
  }

  async #ask(letter: DeadLetter, letters: readonly DeadLetter[]): Promise<void> {
    const { state, books, receivers } = this.#parts;
    const { callback, key } = letter;
    const wake = (resent: readonly DeadLetter[]): void => {
      for (const { event, topic } of resent) receivers.get(callback)?.renewed({ topic, ...event });
    };
    if (this.#dice.chance(0.5)) {
      const text = this.#dice.chance(0.4) ? `{"fixed":${this.#dice.below(1_000)}}` : null;
      const data = text === null ? null : Buffer.from(text);
      const resend = await state.resendOne(letter.id, data, this.#asked).catch(pending);
      if (resend === null) return;
      books.resends.asked(resend.id, [letter.id], text);
      wake([letter]);
      return;
    }
    const filter = { callback, ...(this.#dice.chance(0.3) ? { key } : {}) };
    const some = letters.filter(
      (one) => one.callback === callback && (filter.key === undefined || one.key === key),
    );
    const upToId = Math.max(...some.map(({ id }) => id));
    const resend = await state.resendMany(filter, { upToId, total: some.length }, this.#asked);
    books.resends.asked(
      resend.id,
      some.map(({ id }) => id),
      null,
    );
    wake(some);
  }

  async #actOn({ id, state: now }: Resend): Promise<void> {
    const action = now === 'running' || now === 'paused' ? this.#choice(now) : null;
    if (action === null) return;
    const { state, books } = this.#parts;
    const ended = await state.actOnResend(id, action, this.#asked).catch(pending);
    if (ended !== null) books.resends.acted(id, action);
  }

  #choice(now: 'running' | 'paused'): ResendAction | null {
    if (this.#resting) return now === 'paused' ? 'resume' : null;
    if (this.#dice.chance(0.05)) return 'cancel';
    if (now === 'paused') return this.#dice.chance(0.6) ? 'resume' : null;
    return this.#dice.chance(0.1) ? 'pause' : null;
  }

  /** Whoever runs now; who starts looks by itself. */
  #tell(): void {
    if (this.#running?.owner.alive !== true) return;
    this.#running.deliver.lookAtHolds().catch((error: unknown) => {
      if (!(error instanceof RowcallError)) this.#parts.onViolation(error);
    });
  }

  get #asked(): Asked {
    const atMs = EPOCH_MS + this.#parts.scheduler.now;
    return { actor: 'somebody', reason: 'a dice', atMs };
  }
}

/** It goes again already, or has ended since it was looked at. */
function pending(error: unknown): null {
  const codes: readonly string[] = ['RESEND_PENDING', 'RESEND_ENDED', 'DEAD_LETTER_UNKNOWN'];
  if (error instanceof RowcallError && codes.includes(error.code)) return null;
  throw error;
}
