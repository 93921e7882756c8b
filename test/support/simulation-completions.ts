/** What receivers of a simulation tell later of events that they answered with 202, and what they are answered. */
import type { OutgoingEvent } from '../../src/deliver/callback/sender.ts';
import type { CompletionDesk } from '../../src/deliver/completion/completion-desk.ts';
import { RowcallError } from '../../src/errors.ts';
import type { Accepted, AttemptKey, Completion, Ending } from '../../src/state/completion.ts';
import { require } from './simulation-log-check.ts';
import type { Owner, Scheduler } from './simulation-scheduler.ts';
import type { Dice } from './workload-random.ts';

/** How often the same is told to those who do not answer. */
const PATIENCE = 60;
const TELL_AGAIN_MS = 2_000;

export interface AsyncPlan {
  readonly deadlineMs: number;
  readonly heartbeatMs: number | null;
}

type Told = Pick<AttemptKey, 'callback' | 'topic' | 'partition' | 'offset' | 'attempt'>;

/** What was told of attempts, what was promised to those who told it, and what counts: by attempt alone. */
export class ToldEnds {
  readonly #told = new Set<string>();
  /** Successes that were answered with 200, by event: the attempt. */
  readonly #promised = new Map<string, number>();
  readonly #counting = new Map<string, Ending['status']>();

  told(of: Told, status: Completion['status']): void {
    this.#told.add(`${attemptOf(of)} ${status}`);
  }

  promised(of: Told): void {
    this.#promised.set(eventOf(of), of.attempt);
  }

  /** The store took it. */
  taken(of: Told, completion: Completion): void {
    const { status } = completion;
    if (status === 'progress') return;
    const name = attemptOf(of);
    require(status === 'overdue' || this.#told.has(`${name} ${status}`), 'G4', () =>
      `${name}: nobody told that it ${status}`);
    const first = this.#counting.get(name) ?? status;
    require(first === status, 'G4', () => `${name}: ${first}, then ${status}`);
    this.#counting.set(name, status);
  }

  has(of: Told): boolean {
    return this.#counting.has(attemptOf(of));
  }

  /** An attempt is settled by its own end, and by no other. */
  requireEnd(of: Told, how: 'delivered' | 'failed'): void {
    const status = this.#counting.get(attemptOf(of));
    const fits = how === 'delivered' ? status === 'succeeded' : status !== 'succeeded';
    require(status !== undefined && fits, 'G4', () =>
      `${attemptOf(of)} is ${how}, its end is ${status ?? 'unknown'}`);
  }

  /** Who was told that it was done is not asked to do it again. */
  requireUnpromised(of: Told): void {
    const attempt = this.#promised.get(eventOf(of)) ?? Infinity;
    require(of.attempt <= attempt, 'G4', () =>
      `${attemptOf(of)} is sent although the success of attempt ${attempt} was taken`);
  }
}

/** An attempt whose end is awaited durably. */
export interface SimulatedWait {
  readonly attempt: number;
  readonly earliestOverdue: number;
}

export function waitOf({ attempt, atMs, deadlineMs, heartbeatMs }: Accepted): SimulatedWait {
  return { attempt, earliestOverdue: atMs + Math.min(deadlineMs, heartbeatMs ?? Infinity) };
}

interface CompletionParts {
  readonly scheduler: Scheduler;
  readonly world: Owner;
  readonly dice: Dice;
  readonly ends: ToldEnds;
  readonly onViolation: (error: unknown) => void;
}

/** The way of what is told: to whichever process delivers, again and again until one answers. */
export class SimulatedCompletions {
  readonly #parts: CompletionParts;
  #desk: { readonly owner: Owner; readonly desk: CompletionDesk } | null = null;

  constructor(parts: CompletionParts) {
    this.#parts = parts;
  }

  opened(owner: Owner, desk: CompletionDesk): void {
    this.#desk = { owner, desk };
  }

  /** A receiver took the event, and its end comes: early, later, twice, too late, or never. */
  accepted(callback: string, event: OutgoingEvent, attempt: number, plan: AsyncPlan): void {
    const { dice } = this.#parts;
    const { topic, partition, offset, completionUrl = '' } = event;
    const of = { callback, topic, partition, offset, attempt };
    const tell = (status: 'succeeded' | 'failed' | 'progress', ms: number): void => {
      this.#tellIn(ms, {
        of,
        url: completionUrl,
        completion: completionOf(status),
        left: PATIENCE,
      });
    };
    const later = dice.between(1, Math.max(2, Math.floor(plan.deadlineMs * 0.8)));
    switch (dice.pick(['early', 'later', 'later', 'twice', 'fails', 'both', 'late', 'never'])) {
      case 'early':
        tell('succeeded', 0);
        break;
      case 'later':
        if (dice.chance(0.5)) tell('progress', Math.floor(later / 2));
        tell('succeeded', later);
        break;
      case 'twice':
        tell('succeeded', later);
        tell('succeeded', later + dice.below(3_000));
        break;
      case 'fails':
        tell('failed', dice.chance(0.3) ? 0 : later);
        break;
      case 'both':
        tell('failed', later);
        tell('succeeded', later + dice.below(2_000));
        break;
      case 'late':
        tell('succeeded', plan.deadlineMs + dice.below(3_000));
        break;
      case 'never':
        break;
    }
  }

  #tellIn(ms: number, message: Message): void {
    const { scheduler, world } = this.#parts;
    const { of, completion } = message;
    scheduler.after(ms, world, `tells ${attemptOf(of)} ${completion.status}`, () => {
      this.#tell(message);
    });
  }

  #tell(message: Message): void {
    const { ends, onViolation } = this.#parts;
    const { of, url, completion, left } = message;
    if (left === 0) return;
    const again = { ...message, left: left - 1 };
    if (this.#desk?.owner.alive !== true) {
      this.#tellIn(TELL_AGAIN_MS, again);
      return;
    }
    if (completion.status === 'succeeded') ends.told(of, 'succeeded');
    else ends.told(of, completion.status);
    let answered = false;
    const token = url.slice(url.lastIndexOf('/') + 1);
    this.#desk.desk.complete(token, completion).then(
      () => {
        answered = true;
        if (completion.status === 'succeeded') ends.promised(of);
      },
      (error: unknown) => {
        if (!(error instanceof RowcallError)) onViolation(error);
        else if (error.code === 'COMPLETION_LATE') answered = true;
        else if (error.code.startsWith('COMPLETION_')) onViolation(error);
      },
    );
    // A process that died meanwhile never answers.
    const { scheduler, world } = this.#parts;
    scheduler.after(TELL_AGAIN_MS, world, `was ${attemptOf(of)} heard?`, () => {
      if (!answered) this.#tell(again);
    });
  }
}

interface Message {
  readonly of: Told;
  readonly url: string;
  readonly completion: Completion;
  readonly left: number;
}

function completionOf(status: 'succeeded' | 'failed' | 'progress'): Completion {
  if (status === 'progress') return { status };
  return { status, reason: null, retryable: true, result: null };
}

function eventOf({ callback, topic, partition, offset }: Told): string {
  return `${callback} ${topic}/${partition}@${offset}`;
}

function attemptOf(of: Told): string {
  return `${eventOf(of)} attempt ${of.attempt}`;
}
