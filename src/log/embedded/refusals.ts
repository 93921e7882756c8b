/** Keeps an append from overtaking one before it that was refused. */
import type { WireError } from '../../error-wire.ts';
import type { AppendCommand, Refusal } from './commands.ts';

/**
 * An owner may hand over several appends without waiting. When one is refused, those behind it were
 * asked for in the belief that it would be written: were they taken, its records would be missing
 * under a checkpoint that says otherwise. Invariant: an append is taken only if its owner had been told of
 * every refusal before it. This side numbers its refusals from 1; the owner's side sends back the
 * highest number that it was told.
 */
export class Refusals {
  #epoch = -1;
  #last: Refusal | null = null;

  /** The refusal that this append must share; null when its owner knew of all. */
  earlier(append: AppendCommand): Refusal | null {
    const last = append.epoch === this.#epoch ? this.#last : null;
    if (last === null || append.refusalsSeen >= last.number) return null;
    const { number, error } = last;
    const message = `An append before this one was refused: ${error.message}`;
    return { number, error: { ...error, message } };
  }

  note(append: AppendCommand, error: WireError): Refusal {
    const before = append.epoch === this.#epoch ? this.#last : null;
    const refusal = { number: (before?.number ?? 0) + 1, error };
    this.#epoch = append.epoch;
    this.#last = refusal;
    return refusal;
  }
}
