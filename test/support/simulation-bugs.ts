/** Wrong parts, each the likeness of a defect that another system shipped: the simulation must find them. */
import { Place } from '../../src/capture/append/place.ts';
import { HEADER_FORMAT, type LogRecord } from '../../src/change-event.ts';
import type { Checkpoint } from '../../src/position.ts';
import type { StateChange } from '../../src/state/state-store.ts';
import { copyOf } from './packed.ts';
import { SERVER_UUID } from './simulation-history.ts';
import type { PlantedBug } from './simulation-process.ts';

/** The GTID set grows at BEGIN: a crash before the commit skips the transaction. */
class HastyPlace extends Place {
  override begin(event: Parameters<Place['begin']>[0]): ReturnType<Place['begin']> {
    const transaction = super.begin(event);
    if (event.gtid !== null) this.gtidSet?.add(event.gtid);
    return transaction;
  }
}

/** The checkpoint does not say which rows of the open transaction are in the log. */
class ForgetfulPlace extends Place {
  override checkpoint(): Checkpoint {
    return { ...super.checkpoint(), open: [] };
  }
}

/** After a restart, prepared transactions pass for such that have nothing of captured tables. */
class CarelessPlace extends Place {
  override checkpoint(): Checkpoint {
    const checkpoint = super.checkpoint();
    const prepared = checkpoint.prepared.map((each) => ({ ...each, captured: false }));
    return { ...checkpoint, prepared };
  }
}

/** Every event of a lane gives way to the next one, also where the callback asked for each. */
function coalescing(change: StateChange): StateChange {
  return change.type === 'lane-append' ? { ...change, coalesces: true } : change;
}

function supersedes(change: StateChange): boolean {
  return change.type === 'progress' && (change.counts.superseded ?? 0) > 0;
}

/** The cursor passes over the newest event as well: after a crash nobody reads it again. */
function pastNewest(change: StateChange): StateChange {
  if (change.type !== 'progress' || !supersedes(change)) return change;
  const { counts } = change;
  const more = { read: (counts.read ?? 0) + 1, matched: (counts.matched ?? 0) + 1 };
  const superseded = (counts.superseded ?? 0) + 1;
  return { ...change, next: change.next + 1, counts: { ...counts, ...more, superseded } };
}

function isLaneDelivered(change: StateChange): boolean {
  return change.type === 'lane-delivered';
}

/** The key goes on being retried although its head's attempts are used up. */
function withoutEnd(change: StateChange): StateChange {
  return change.type === 'lane-failed' ? { ...change, exhausted: false } : change;
}

/** Whoever reads it takes it for one of the default format. */
function withoutForm(record: LogRecord): LogRecord {
  const copy = copyOf(record);
  const headers = (copy.headers ?? []).filter(([name]) => name !== HEADER_FORMAT);
  return { ...copy, headers };
}

/** What was given up is given up for good: nobody else gets it. */
function withoutHandOver(change: StateChange): StateChange {
  return change.type === 'dead' || change.type === 'lane-dead'
    ? { ...change, handOvers: [] }
    : change;
}

export const PLANTED_BUGS: Readonly<Record<string, () => PlantedBug>> = {
  'a GTID set that grows at BEGIN': () => ({
    place: (checkpoint) => new HastyPlace(checkpoint, { uuid: SERVER_UUID, routing: 'r' }),
  }),
  'a checkpoint that forgets the rows of the open transaction': () => ({
    place: (checkpoint) => new ForgetfulPlace(checkpoint, { uuid: SERVER_UUID, routing: 'r' }),
  }),
  'a prepared transaction that is taken for one without rows': () => ({
    place: (checkpoint) => new CarelessPlace(checkpoint, { uuid: SERVER_UUID, routing: 'r' }),
  }),
  'a budget that never ends': () => ({
    state: (state) => ({ ...state, commit: (changes) => state.commit(changes.map(withoutEnd)) }),
  }),
  'a hand-over that is lost': () => ({
    state: (state) => ({
      ...state,
      commit: (changes) => state.commit(changes.map(withoutHandOver)),
    }),
  }),
  'a reference that is in the log before its file': () => ({
    claims: (store) => ({
      put: (file, bytes) => {
        store.put(file, bytes).catch(() => undefined);
        return Promise.resolve();
      },
    }),
  }),
  'a file that is cut short': () => ({
    claims: (store) => ({
      put: (file, bytes) => store.put(file, bytes.subarray(0, bytes.byteLength - 1)),
    }),
  }),
  'a record that does not say its form': () => ({
    writer: (writer) => ({
      checkpoint: writer.checkpoint,
      createTopics: (topics) => writer.createTopics(topics),
      append: (batches, checkpoint) =>
        writer.append(
          batches.map((batch) => ({ ...batch, records: batch.records.map(withoutForm) })),
          checkpoint,
        ),
      close: () => writer.close(),
    }),
  }),
  'a 410 and a Retry-After that are forgotten': () => ({
    state: (state) => ({ ...state, callbackHolds: () => Promise.resolve([]) }),
  }),
  'a place that is saved before its append': () => {
    let saved: string | null = null;
    return {
      writer: (writer) => ({
        checkpoint: saved ?? writer.checkpoint,
        createTopics: (topics) => writer.createTopics(topics),
        append: (batches, checkpoint) => {
          saved = checkpoint;
          return writer.append(batches, checkpoint);
        },
        close: () => writer.close(),
      }),
    };
  },
  'an event settled before its outcome is known': () => ({
    sender: (sender) => ({
      send: (event, attempt, signal) => {
        sender.send(event, attempt, signal).catch(() => undefined);
        return Promise.resolve({ kind: 'delivered' });
      },
      close: () => sender.close(),
    }),
  }),
  "a key back from its lane before its last event's outcome is durable": () => ({
    state: (state) => ({
      ...state,
      commit: (changes) => {
        const committed = state.commit(changes);
        if (!changes.some(isLaneDelivered)) return committed;
        committed.catch(() => undefined);
        return Promise.resolve([]);
      },
    }),
  }),
  'a lane that keeps the newest event for who asked for each': () => ({
    state: (state) => ({ ...state, commit: (changes) => state.commit(changes.map(coalescing)) }),
  }),
  'an event sent before it is durable what it superseded': () => ({
    state: (state) => ({
      ...state,
      commit: (changes) => {
        const committed = state.commit(changes);
        if (!changes.some(supersedes)) return committed;
        committed.catch(() => undefined);
        return Promise.resolve([]);
      },
    }),
  }),
  'a cursor that passes over the event for which another gave way': () => ({
    state: (state) => ({ ...state, commit: (changes) => state.commit(changes.map(pastNewest)) }),
  }),
  'a cursor that is committed apart from the lanes': () => ({
    state: (state) => ({
      ...state,
      commit: async (changes) => {
        await state.commit(changes.filter((change) => change.type === 'progress'));
        return state.commit(changes.filter((change) => change.type !== 'progress'));
      },
    }),
  }),
};
