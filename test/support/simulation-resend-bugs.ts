/** Wrong parts about dead letters that go again: the simulation must find them. */
import type { DueResend } from '../../src/state/resend-store.ts';
import type { StateChange } from '../../src/state/state-store.ts';
import type { PlantedBug } from './simulation-process.ts';

function committing(wrong: (change: StateChange) => readonly StateChange[]): PlantedBug {
  return {
    state: (state) => ({ ...state, commit: (changes) => state.commit(changes.flatMap(wrong)) }),
  };
}

function fetching(wrong: (due: DueResend) => DueResend): PlantedBug {
  return {
    state: (state) => ({
      ...state,
      dueResends: async (...args) => (await state.dueResends(...args)).map(wrong),
    }),
  };
}

export const PLANTED_RESEND_BUGS: Readonly<Record<string, () => PlantedBug>> = {
  'a dead letter that is gone although it was given up again': () =>
    committing((change) => {
      if (change.type !== 'resend-failed' || !change.exhausted) return [change];
      const { callback, resend, deadLetter, atMs } = change;
      return [{ type: 'resend-delivered', callback, resend, deadLetter, atMs }];
    }),
  'a dead letter that stays although it was delivered': () =>
    committing((change) => (change.type === 'resend-delivered' ? [] : [change])),
  'an attempt of a resend that is not counted': () =>
    committing((change) => (change.type === 'resend-failed' && !change.exhausted ? [] : [change])),
  'a dead letter that goes beside another event of its key': () => ({
    // Nobody else is in order with it.
    ...fetching((due) => ({ ...due, key: `${due.key} ` })),
    sender: (sender) => ({
      send: (event, ...others) =>
        sender.send(
          event.resend === true ? { ...event, key: withoutEnd(event.key) } : event,
          ...others,
        ),
      close: () => sender.close(),
    }),
  }),
  'a dead letter that goes again before it is due': () => ({
    state: (state) => ({
      ...state,
      dueResends: (callback, now, limit, busy) =>
        state.dueResends(callback, now + 60_000, limit, busy),
    }),
  }),
  'a dead letter that goes as it was although a person changed it': () =>
    fetching((due) => ({ ...due, data: null })),
};

function withoutEnd(key: string | null): string | null {
  return key === null ? null : key.slice(0, -1);
}
