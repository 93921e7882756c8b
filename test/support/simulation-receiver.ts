/** The endpoints of a simulation: scripted, outliving the processes, and watching the order of what comes. */
import type { OutgoingEvent } from '../../src/deliver/callback/sender.ts';
import type { StoredRecord } from '../../src/log/change-log.ts';
import { KEYLESS_TABLE } from './simulation-expected.ts';
import { EPOCH_MS } from './simulation-scheduler.ts';
import { BatchNames } from './simulation-batches.ts';
import type { AsyncPlan, SimulatedCompletions } from './simulation-completions.ts';
import type { Books } from './simulation-books.ts';
import type { LogCheck } from './simulation-log-check.ts';
import { require, Violation } from './simulation-log-check.ts';
import type { Dice } from './workload-random.ts';

/** What the endpoint does with a request. `lost`: it does its work, and the answer never arrives. */
export type Answer = 'ok' | 'accepts' | 'fails' | 'throttles' | 'hangs' | 'lost' | 'gone';

export interface ReceiverShape {
  /** Answers some events with 202. */
  readonly async: AsyncPlan | null;
  /** Share of events that fail, hang or lose their answer at first. */
  readonly trouble: number;
  /** Times an event does so. */
  readonly worst: number;
  /** Virtual ms, from and to: nobody answers the door. */
  readonly unreachable: readonly (readonly [number, number])[];
  /** `retry.maximum_attempts`. */
  readonly maximumAttempts: number;
  /** How many keys must have failed before the breaker may be open. */
  readonly openingKeys: number;
  /** Virtual ms for which the breaker is open at least. */
  readonly openMs: number;
}

/** An answer to a request, and what it means for each of its events. */
export interface Reply {
  readonly answer: Answer;
  readonly each: readonly Answer[];
  /** The body of a success; null where it is longer than anybody reads, or there is none. */
  readonly text: string | null;
}

/** Makes one answer of what would be answered to each. */
export type Replying = (
  events: readonly OutgoingEvent[],
  wishes: readonly Answer[],
  dice: Dice,
) => Reply;

const toEach: Replying = (_events, wishes) => ({
  answer: wishes[0] ?? 'ok',
  each: wishes,
  text: null,
});

/** What a process knows of itself when it begins an attempt. */
export interface BeforeAttempt {
  readonly attempt: number;
  /** The name of the process. */
  readonly by: string;
  readonly reply?: Replying;
  /** No other attempt of it is on its way. */
  readonly alone: boolean;
  /** Virtual ms since it began another one. */
  readonly silentMs: number;
}

/**
 * G3 and G4 at the receiver. Per key the events come in the log's order without a gap; only the one that came
 * last comes again, with the same id and bytes; its attempts never fall; and none is sent before the outcome
 * of the one before it is durable.
 */
export class Receiver {
  readonly name: string;
  readonly #shape: ReceiverShape;
  readonly #dice: Dice;
  readonly #log: LogCheck;
  readonly #books: Books;
  readonly #completions: SimulatedCompletions;
  /** Per topic and key: the event that came last. */
  readonly #last = new Map<string, number>();
  readonly #troubles = new Map<string, number>();
  readonly #attempts = new Map<string, number>();
  /** Attempts that use up nothing, and budgets that persons gave anew. */
  readonly #free = new Map<string, number>();
  readonly #processes = new ProcessMemory();
  readonly batches = new BatchNames();
  /** Keys that ever failed, and whether the door was ever found shut: the breaker may be open. */
  readonly #failedKeys = new Set<string>();
  #wasShut = false;
  requests = 0;
  repeats = 0;
  /** Attempts for dead letters. */
  resends = 0;

  constructor(
    name: string,
    shape: ReceiverShape,
    parts: {
      readonly dice: Dice;
      readonly log: LogCheck;
      readonly books: Books;
      readonly completions: SimulatedCompletions;
    },
  ) {
    this.name = name;
    this.#shape = shape;
    this.#dice = parts.dice;
    this.#log = parts.log;
    this.#books = parts.books;
    this.#completions = parts.completions;
  }

  isReachable(now: number): boolean {
    const shut = this.#shape.unreachable.some(([from, to]) => from <= now && now < to);
    this.#wasShut ||= shut;
    return !shut;
  }

  /** A process begins an attempt: is it allowed to? */
  sending(event: OutgoingEvent, attempt: number, at: { now: number; by: string }): void {
    const { topic, partition, offset, id } = event;
    const { now, by } = at;
    this.#processes.sending(event, attempt, by);
    this.#books.holds.requireOpen(this.name, EPOCH_MS + now, by);
    if (event.resend === true) {
      this.#sendingAgain(event, attempt, now);
      return;
    }
    if (event.handedOver !== undefined) {
      this.#books.handedOver.sending(this.name, event, attempt);
      this.#requireBudget(event, attempt);
      this.#requireNotAwaited(event, attempt);
      return;
    }
    this.#requireSame(event);
    const delivered = this.#books.isDelivered(this.name, topic, event);
    require(!delivered, 'G4', () => `${id} is sent although its delivery is durable`);
    const before = this.#before(event);
    require(before === undefined ||
      this.#books.isDelivered(this.name, topic, { partition, offset: before.offset }), 'G3', () =>
      `${id} is sent before the outcome of ${before?.id} is durable`);
    this.#requireBarriers(event);
    const last = this.#attempts.get(attemptsOf(event)) ?? 0;
    require(attempt >= last && attempt <= last + 1, 'attempts', () =>
      `${id}: ${last}, then ${attempt}`);
    require(last > 0 || attempt === 1, 'attempts', () => `${id} begins with ${attempt}`);
    this.#requireBudget(event, attempt);
    this.#requireNotAwaited(event, attempt);
    const lane = this.#books.laneOf(this.name, topic, event);
    require(lane?.exhausted !== true || lane.offsets[0] !== offset, 'parked', () =>
      `${id} is sent although its key is parked`);
    const due = lane?.offsets[0] === offset ? lane.nextAttemptAt : 0;
    require(due <= EPOCH_MS + now, 'retry', () =>
      `${id} is tried ${due - EPOCH_MS - now} ms early`);
  }

  /** A dead letter goes between two events of its key: those in flight are looked at where the request is made. */
  #sendingAgain(event: OutgoingEvent, attempt: number, now: number): void {
    if (event.handedOver === undefined) this.#requireSame(event);
    this.#books.resends.sending(this.name, event, EPOCH_MS + now);
    this.#books.requireNoLane(this.name, event);
    const last = this.#attempts.get(attemptsOf(event)) ?? 0;
    require(attempt >= last && attempt <= last + 1, 'attempts', () =>
      `${event.id} goes again: ${last}, then ${attempt}`);
    this.#requireBudget(event, attempt);
  }

  #requireNotAwaited(event: OutgoingEvent, attempt: number): void {
    const { topic, partition, offset, id } = event;
    this.#books.ends.requireUnpromised({ callback: this.name, topic, partition, offset, attempt });
    const lane = this.#books.laneOf(this.name, topic, event);
    require((lane?.awaiting ?? null) === null, 'G3', () =>
      `${id} is sent although its end is awaited`);
  }

  /** A request arrives. */
  arrived(events: readonly OutgoingEvent[], before: BeforeAttempt): Reply {
    const { attempt, by, reply: replying = toEach } = before;
    for (const event of events) this.#came(event, attempt);
    const wishes = events.map(({ id }) => this.#answer(id));
    const reply = replying(events, wishes, this.#dice);
    for (const [index, event] of events.entries()) {
      const answer = reply.each[index] ?? reply.answer;
      this.#processes.arrived(event, { attempt, by, answer });
      this.#answered(event, answer, before);
    }
    return reply;
  }

  /** Its answer came to the process. */
  heard(events: readonly OutgoingEvent[], { answer, each }: Reply, by: string): void {
    if (answer === 'gone') this.#books.holds.toldGone(this.name, by);
    for (const [index, event] of events.entries()) {
      if (each[index] === 'ok') this.#processes.heardOfDelivery(event, by);
    }
  }

  #came(event: OutgoingEvent, attempt: number): void {
    const key = `${event.topic} ${keyAtReceiver(event)}`;
    const last = this.#last.get(key);
    this.requests += 1;
    this.#attempts.set(attemptsOf(event), attempt);
    if (event.resend === true) {
      this.resends += 1;
      return;
    }
    if (last === event.offset) this.repeats += 1;
    else this.#requireOrder(event, last);
    this.#last.set(key, event.offset);
  }

  #answered(event: OutgoingEvent, answer: Answer, before: BeforeAttempt): void {
    if (this.#isFree(answer, before)) this.#addFree(event, 1);
    this.#tellLater(answer, event, before.attempt);
    const key = `${event.topic} ${keyAtReceiver(event)}`;
    if (answer !== 'ok' && answer !== 'accepts') this.#failedKeys.add(key);
    // What is accepted will be done, whenever that is told.
    if (answer === 'ok' || answer === 'accepts' || answer === 'lost') this.#done(event);
  }

  #requireOrder(event: OutgoingEvent, last: number | undefined): void {
    if (event.handedOver !== undefined) {
      require(last === undefined || last < event.offset, 'G3', () =>
        `${event.id} came after number ${last}`);
    } else if (this.#books.coalesces(this.name, event)) {
      require(last === undefined || last < event.offset, 'G3', () =>
        `${event.id} came after offset ${last}`);
    } else {
      const earlier = this.#before(event, (offset) => offset !== last);
      require(earlier?.offset === last, 'G3', () =>
        `${event.id} came after offset ${last}, not ${earlier?.offset}`);
    }
  }

  #done(event: OutgoingEvent): void {
    if (event.resend === true) this.#books.resends.done(this.name, event);
    else if (event.handedOver === undefined) this.#books.done(this.name, event.id);
    else this.#books.handedOver.entry(this.name, event).done = true;
  }

  #tellLater(answer: Answer, event: OutgoingEvent, attempt: number): void {
    const { async } = this.#shape;
    if (async !== null && (answer === 'accepts' || answer === 'lost')) {
      this.#completions.accepted(this.name, event, attempt, async);
    }
  }

  /** Everything that matches and stands before `next` was received and done. */
  requireAll(topic: string, partition: number, next: number): void {
    for (const record of this.#matching(topic, partition)) {
      if (record.offset >= next) continue;
      const { offset } = record;
      const given = this.#books.fate(this.name, topic, { partition, offset }) !== undefined;
      const superseded =
        this.#books.coalesces(this.name, record) &&
        this.#books.hasNewer(this.name, { topic, partition }, record);
      require(given || superseded || this.#books.isDone(this.name, record.id), 'G1', () =>
        `${this.name} never got ${record.id}`);
    }
  }

  /** A person gave the event another budget. */
  renewed(at: Pick<OutgoingEvent, 'topic' | 'partition' | 'offset'>): void {
    this.#addFree(at, this.#shape.maximumAttempts);
  }

  /** A person did not want to wait for the end of the attempt any more: it uses up nothing. */
  gaveUp(at: Pick<OutgoingEvent, 'topic' | 'partition' | 'offset'>): void {
    this.#addFree(at, 1);
  }

  #addFree(at: Pick<OutgoingEvent, 'topic' | 'partition' | 'offset'>, more: number): void {
    const key = attemptsOf(at);
    this.#free.set(key, (this.#free.get(key) ?? 0) + more);
  }

  /** Throttled answers use up nothing, nor does what may be a probe: alone, after the silence of an open breaker. */
  #isFree(answer: Answer, { alone, silentMs }: BeforeAttempt): boolean {
    const { openingKeys, openMs } = this.#shape;
    const mayBeOpen = this.#wasShut || this.#failedKeys.size >= openingKeys;
    const probe = alone && mayBeOpen && silentMs >= openMs;
    return answer === 'throttles' || answer === 'gone' || (answer !== 'ok' && probe);
  }

  #requireBudget(event: OutgoingEvent, attempt: number): void {
    const { maximumAttempts } = this.#shape;
    if (maximumAttempts === 0) return;
    const most = maximumAttempts + (this.#free.get(attemptsOf(event)) ?? 0);
    require(attempt <= most, 'attempts', () => `${event.id}: attempt ${attempt} of ${most}`);
  }

  #answer(id: string): Answer {
    const left = this.#troubles.get(id) ?? this.#newTrouble();
    this.#troubles.set(id, Math.max(0, left - 1));
    if (left <= 0) return this.#shape.async !== null && this.#dice.chance(0.6) ? 'accepts' : 'ok';
    if (this.#dice.chance(0.02)) return 'gone';
    return this.#dice.pick(['fails', 'fails', 'fails', 'throttles', 'hangs', 'lost']);
  }

  #newTrouble(): number {
    return this.#dice.chance(this.#shape.trouble) ? this.#dice.between(1, this.#shape.worst) : 0;
  }

  #requireSame(event: OutgoingEvent): void {
    const record = this.#log.record(event.topic, event);
    const same =
      record?.id === event.id &&
      record.key === event.key &&
      record.table === event.table &&
      record.operation === event.operation &&
      record.timestampMs === event.timestampMs &&
      this.#log.isGiven(event.value, record);
    require(same, 'G4', () => `${event.id} is not what stands in the log`);
    if (record !== undefined && !this.#books.matches(this.name, record, event.partition)) {
      throw new Violation(`G1: ${event.id} does not match ${this.name}`);
    }
  }

  /** The event of the same key that this callback gets before it; `skips`: not one that a person skipped. */
  #before(
    event: OutgoingEvent,
    skips: (offset: number) => boolean = () => false,
  ): StoredRecord | undefined {
    const { topic, partition } = event;
    return this.#matching(topic, partition).findLast(
      (record) =>
        record.offset < event.offset &&
        orderKey(record) === orderKey(event) &&
        !(
          skips(record.offset) &&
          this.#books.fate(this.name, topic, { partition, ...record }) === 'skipped'
        ),
    );
  }

  #matching(topic: string, partition: number): StoredRecord[] {
    const start = this.#books.progress(this.name, topic, partition)?.startOffset ?? 0;
    return this.#log
      .records(topic, partition)
      .filter(
        (record) => record.offset >= start && this.#books.matches(this.name, record, partition),
      );
  }

  /**
   * Before a truncate is sent, all that stands before it in any partition is settled or in a lane; what stands behind
   * one is sent after its delivery. A table without a key has its truncates in order like its rows.
   */
  #requireBarriers(event: OutgoingEvent): void {
    const { topic, id } = event;
    if (event.operation === 't') {
      for (let partition = 0; partition < this.#log.partitionCount; partition += 1) {
        const open = this.#standingBefore(topic, partition, id).find(
          ({ offset }) => !this.#books.isSettled(this.name, topic, { partition, offset }),
        );
        require(open === undefined, 'G3', () =>
          `${id} is sent before ${open?.id} is settled or in a lane`);
      }
      return;
    }
    const truncate = this.#from(topic, event.partition).findLast(
      (record) => record.offset < event.offset && this.#asksTruncate(record),
    );
    if (truncate === undefined || truncate.table === KEYLESS_TABLE) return;
    const all = this.#from(topic, 0).filter((record) => record.id === truncate.id);
    const delivered = all.some(({ offset }) =>
      this.#books.isDelivered(this.name, topic, { partition: 0, offset }),
    );
    require(all.length === 0 || delivered, 'G3', () =>
      `${id} is sent before the delivery of ${truncate.id}`);
  }

  /** Events of a partition that this callback gets and that stand before a truncate; none where it is not there. */
  #standingBefore(topic: string, partition: number, truncate: string): StoredRecord[] {
    const at = this.#from(topic, partition).find(({ id }) => id === truncate);
    if (at === undefined) return [];
    return this.#matching(topic, partition).filter(({ offset }) => offset < at.offset);
  }

  #asksTruncate(record: StoredRecord): boolean {
    return record.operation === 't' && this.#books.selects(this.name, record);
  }

  #from(topic: string, partition: number): StoredRecord[] {
    const start = this.#books.progress(this.name, topic, partition)?.startOffset ?? 0;
    return this.#log.records(topic, partition).filter(({ offset }) => offset >= start);
  }
}

/**
 * What each process knows of its own attempts, whatever is durable: it makes an attempt once, so that a crash alone repeats
 * one; and what it was told to be taken it does not send again.
 */
class ProcessMemory {
  readonly #attempts = new Set<string>();
  readonly #delivered = new Set<string>();

  sending(event: OutgoingEvent, attempt: number, by: string): void {
    const place = `${by} ${attemptsOf(event)}`;
    require(!this.#delivered.has(place), 'G4', () =>
      `${by} sends ${event.id} although it was told that it is taken`);
    require(!this.#attempts.has(`${place} ${attempt}`), 'attempts', () =>
      `${by} makes attempt ${attempt} of ${event.id} twice`);
  }

  /** One that was answered by 410 is none: it is made when the callback is enabled. */
  arrived(
    event: OutgoingEvent,
    { attempt, by, answer }: { attempt: number; by: string; answer: Answer },
  ): void {
    if (answer !== 'gone') this.#attempts.add(`${by} ${attemptsOf(event)} ${attempt}`);
  }

  heardOfDelivery(event: OutgoingEvent, by: string): void {
    this.#delivered.add(`${by} ${attemptsOf(event)}`);
  }
}

/** An event that the log has twice is tried anew each time. */
function attemptsOf({
  topic,
  partition,
  offset,
}: Pick<OutgoingEvent, 'topic' | 'partition' | 'offset'>): string {
  return `${topic}/${partition}@${offset}`;
}

function orderKey(event: Pick<StoredRecord, 'key' | 'table' | 'operation'>): string {
  const isTruncate = event.operation === 't' && event.table !== KEYLESS_TABLE;
  return event.key ?? `${isTruncate ? '!' : '~'}${event.table}`;
}

/** What is handed over or sent again does not keep a truncate in order with the rows of its table (ADR 28 and 29). */
export function keyAtReceiver(event: OutgoingEvent): string {
  const isElsewhere = event.handedOver !== undefined || event.resend === true;
  const isApart = isElsewhere && event.operation === 't';
  return isApart ? `!${event.table}` : orderKey(event);
}
