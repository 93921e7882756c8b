/** Dead letters that persons have sent again: a model of who waits for what, and of the books of each resend. */
import type { OutgoingEvent } from '../../src/deliver/callback/sender.ts';
import type { ResendAction, ResendChange } from '../../src/state/resend-store.ts';
import type { DeadLetter, StateStore } from '../../src/state/state-store.ts';
import { require, Violation } from './simulation-log-check.ts';

type Place = Pick<OutgoingEvent, 'topic' | 'partition' | 'offset'>;

interface Letter {
  readonly id: string;
  /** Resends that may take it, or have it. */
  readonly asked: Set<number>;
  attempts: number;
  dueAtMs: number;
  /** Durably delivered by a resend. */
  gone: boolean;
  /** The receiver did its work when it came again. */
  done: boolean;
}

interface Asked {
  readonly data: string | null;
  delivered: number;
  failed: number;
  cancelled: boolean;
  /** As the store told when it was last asked. */
  open: boolean;
}

/**
 * G1, G4 and G6 for dead letters: one leaves them by a delivery that its receiver has done, and by nothing else; it goes again
 * only when somebody asked for that, not early, and not once its delivery is durable; and the books of each resend balance.
 */
export class SentAgain {
  readonly #letters = new Map<number, Letter>();
  readonly #places = new Map<string, number>();
  readonly #resends = new Map<number, Asked>();
  /** Dead letters that there are. */
  #dead = 0;

  died(): void {
    this.#dead += 1;
  }

  /** A person looked at them. */
  seen(letters: readonly DeadLetter[]): void {
    for (const { id, callback, topic, event, attempts } of letters) {
      if (this.#letters.has(id)) continue;
      const letter = {
        id: event.id,
        asked: new Set<number>(),
        dueAtMs: 0,
        gone: false,
        done: false,
      };
      this.#letters.set(id, { ...letter, attempts });
      this.#places.set(placeOf(callback, { topic, ...event }), id);
    }
  }

  /** A person asked for these. */
  asked(resend: number, letters: readonly number[], data: string | null): void {
    this.#resends.set(resend, { data, delivered: 0, failed: 0, cancelled: false, open: true });
    for (const id of letters) this.#letter(id).asked.add(resend);
  }

  acted(resend: number, action: ResendAction): void {
    if (action !== 'cancel') return;
    this.#resend(resend).cancelled = true;
    // Whoever asks for it anew may have it at once.
    for (const letter of this.#letters.values()) if (letter.asked.has(resend)) letter.dueAtMs = 0;
  }

  /** A process begins an attempt. */
  sending(callback: string, event: OutgoingEvent, nowMs: number): void {
    const letter = this.#at(callback, event);
    const { id } = event;
    require(letter.id === id, 'G4', () => `${id} is sent again for ${letter.id}`);
    require(!letter.gone, 'G4', () => `${id} is sent again although that delivery is durable`);
    const [early, wishes] = [letter.dueAtMs - nowMs, [...letter.asked]];
    require(early <= 0, 'retry', () => `${id} is sent again ${early} ms early`);
    const sent = event.data === undefined ? null : Buffer.from(event.data).toString();
    require(wishes.some((one) => this.#resend(one).data === sent), 'G4', () =>
      `nobody asked that ${id} be sent again with ${sent}`);
  }

  done(callback: string, event: OutgoingEvent): void {
    this.#at(callback, event).done = true;
  }

  committed(change: ResendChange): void {
    const letter = this.#letter(change.deadLetter);
    const resend = this.#resend(change.resend);
    require(!letter.gone, 'G4', () => `${letter.id} is settled again`);
    if (change.type === 'resend-delivered') {
      require(letter.done, 'G1', () => `${letter.id} left the dead letters, and nobody got it`);
      letter.gone = true;
      resend.delivered += 1;
      this.#dead -= 1;
      return;
    }
    const { attempts, nextAttemptAt } = change.failure;
    require(attempts > letter.attempts, 'attempts', () => `fell to ${attempts} of ${letter.id}`);
    letter.attempts = attempts;
    letter.dueAtMs = change.exhausted || resend.cancelled ? 0 : nextAttemptAt;
    if (!change.exhausted) return;
    if (!resend.cancelled) resend.failed += 1;
    letter.asked.delete(change.resend);
  }

  async verify(state: StateStore): Promise<void> {
    const { count } = await state.countDeadLetters({ filter: {}, afterId: 0 });
    require(count === this.#dead, 'G6', () => `${count} dead letters, counted ${this.#dead}`);
    if (this.#resends.size === 0) return;
    for (const one of await state.resends({ limit: 1_000 })) {
      const { id, taken, waiting, delivered, failed, cancelled, total } = one;
      const mine = this.#resends.get(id);
      // A person asks the store first.
      if (mine === undefined) continue;
      const books = JSON.stringify(one);
      require(taken === waiting + delivered + failed + cancelled, 'G6', () => books);
      require(taken <= total && waiting >= 0, 'G6', () => books);
      require(delivered === mine.delivered && failed === mine.failed, 'G6', () =>
        `${books}: counted ${mine.delivered} delivered, ${mine.failed} failed`);
      const ended = one.state === 'done' || one.state === 'cancelled';
      require(!ended || waiting === 0, 'G6', () => books);
      mine.open = !ended;
    }
  }

  /** Some are to go again still. */
  get open(): boolean {
    return [...this.#resends.values()].some(({ open }) => open);
  }

  #at(callback: string, event: Place & { readonly id: string }): Letter {
    const id = this.#places.get(placeOf(callback, event));
    if (id === undefined) throw new Violation(`G4: ${event.id} is sent again, and is not dead`);
    return this.#letter(id);
  }

  #letter(id: number): Letter {
    const letter = this.#letters.get(id);
    if (letter === undefined) throw new Violation(`G6: nobody saw dead letter ${id}`);
    return letter;
  }

  #resend(id: number): Asked {
    const resend = this.#resends.get(id);
    if (resend === undefined) throw new Violation(`G6: nobody asked for resend ${id}`);
    return resend;
  }
}

function placeOf(callback: string, { topic, partition, offset }: Place): string {
  return `${callback} ${topic}/${partition}@${offset}`;
}
