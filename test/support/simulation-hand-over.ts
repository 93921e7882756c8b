/** What callbacks of a simulation hand over to others: a model of its order and its books. */
import type { OutgoingEvent } from '../../src/deliver/callback/sender.ts';
import type { Cursor, HandOver, LaneKey, LedgerCounts } from '../../src/state/state-store.ts';
import { handOverOf, handOverTopic } from '../../src/state/state-store.ts';
import { require, Violation } from './simulation-log-check.ts';

/** An event that was given up, as it came to the callback that gets it. */
interface Entry {
  readonly id: string;
  readonly key: string;
  fate: 'waits' | 'delivered' | 'filtered' | 'dead' | 'skipped';
  /** The receiver did its work. */
  done: boolean;
  attempt: number;
}

/** What became of the heads of lanes. */
const FATES: Readonly<Record<string, Entry['fate']>> = {
  'lane-delivered': 'delivered',
  'lane-filtered': 'filtered',
  'lane-dead': 'dead',
  'lane-skipped': 'skipped',
};

/**
 * G3, G4 and G6 for what was handed over: it comes in the order in which it was given up, one event of a key at a time,
 * never before the commit that handed it over and never after one that settled it; and its books count what became of it.
 */
export class HandedOver {
  /** By callback, topic and partition: each event at its number. */
  readonly #entries = new Map<string, Entry[]>();

  /** A commit handed an event over. Returns the lane that it joins, and its number there. */
  add(
    { callback, topic, key }: LaneKey,
    { origin, to }: HandOver,
    { id, partition }: { readonly id: string; readonly partition: number },
  ): { readonly lane: string; readonly offset: number } {
    const name = handOverTopic(origin, callback, topic);
    const place = `${to} ${name}/${partition}`;
    const entries = this.#entries.get(place) ?? [];
    this.#entries.set(place, entries);
    entries.push({ id, key, fate: 'waits', done: false, attempt: 0 });
    return { lane: `${to} ${name} ${key}`, offset: entries.length - 1 };
  }

  /** The head of a lane left it. */
  left({ callback, topic }: LaneKey, partition: number, offset: number, type: string): void {
    const fate = FATES[type];
    if (handOverOf(topic) === null || fate === undefined) return;
    const entry = this.entry(callback, { topic, partition, offset });
    entry.fate = fate;
    require(fate !== 'delivered' || entry.done, 'G1', () => `${callback} never got ${entry.id}`);
  }

  entry(callback: string, at: Pick<OutgoingEvent, 'topic' | 'partition' | 'offset'>): Entry {
    const entry = this.#entries.get(`${callback} ${at.topic}/${at.partition}`)?.[at.offset];
    if (entry === undefined) {
      throw new Violation(`G1: nobody handed ${at.topic}@${at.offset} over to ${callback}`);
    }
    return entry;
  }

  /** A process begins an attempt. */
  sending(callback: string, event: OutgoingEvent, attempt: number): void {
    const { topic, partition, id } = event;
    const entry = this.entry(callback, event);
    require(entry.id === id && entry.fate === 'waits', 'G4', () => `${id} is ${entry.fate}`);
    const all = this.#entries.get(`${callback} ${topic}/${partition}`) ?? [];
    const before = all
      .slice(0, event.offset)
      .find(({ key, fate }) => key === entry.key && fate === 'waits');
    require(before === undefined, 'G3', () =>
      `${id} is sent before the outcome of ${before?.id} is durable`);
    const last = entry.attempt;
    require(attempt >= last && attempt <= last + 1, 'attempts', () =>
      `${id}: ${last}, then ${attempt}`);
    entry.attempt = attempt;
  }

  verify(cursor: Cursor): void {
    const { callback, topic, partition, next, ledger } = cursor;
    const place = `${callback} ${topic}/${partition}`;
    const entries = this.#entries.get(place) ?? [];
    const count = (fate: Entry['fate']): number =>
      entries.filter((entry) => entry.fate === fate).length;
    const counted: Partial<LedgerCounts> = {
      read: entries.length,
      matched: entries.length - count('filtered'),
      filtered: count('filtered'),
      delivered: count('delivered'),
      dead: count('dead'),
      skipped: count('skipped'),
      superseded: 0,
    };
    require(next === entries.length, 'G6', () => `${place} stands at ${next}`);
    for (const [field, wanted] of Object.entries(counted)) {
      const saved = ledger[field as keyof LedgerCounts];
      require(saved === wanted, 'G6', () => `${place}: ${field} is ${saved}, counted ${wanted}`);
    }
    const waits = ledger.retrying + ledger.awaiting + ledger.pending + ledger.parked;
    require(waits === count('waits'), 'G6', () => `${place}: ${waits} wait`);
  }
}
