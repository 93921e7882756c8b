/** Wrong parts about events that were answered with 202: the simulation must find them. */
import type { PlantedBug } from './simulation-process.ts';

export const PLANTED_ASYNC_BUGS: Readonly<Record<string, () => PlantedBug>> = {
  'an end that came before its 202 was durable, and is forgotten': () => ({
    state: (state) => ({
      ...state,
      complete: (attempt, completion, at) =>
        at.early && completion.status !== 'progress'
          ? Promise.resolve('taken')
          : state.complete(attempt, completion, at),
    }),
  }),
  'a late end that is taken for the end of the attempt after it': () => ({
    state: (state) => ({
      ...state,
      complete: async (attempt, completion, at) => {
        const answer = await state.complete(attempt, completion, at);
        if (answer !== 'late' || completion.status !== 'succeeded') return answer;
        return state.complete({ ...attempt, attempt: attempt.attempt + 1 }, completion, at);
      },
    }),
  }),
  'a lane that is tried while its end is awaited': () => ({
    state: (state) => ({
      ...state,
      dueLanes: async (callback, now, limit, busy) => {
        const due = await state.dueLanes(callback, now, limit, busy);
        const { lanes } = await state.awaitedLanes(callback, now + 60_000, limit, busy);
        return [...due, ...lanes].slice(0, limit);
      },
    }),
  }),
  'a deadline that is forgotten': () => ({
    state: (state) => ({
      ...state,
      complete: (attempt, completion, at) =>
        completion.status === 'overdue'
          ? Promise.resolve('late')
          : state.complete(attempt, completion, at),
    }),
  }),
};
