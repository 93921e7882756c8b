/** Which events were taken already. */

/** What an effect says of itself: `done` is remembered; `accepted` is not, since it is not done yet. */
export type Taken = 'done' | 'accepted';

/**
 * Runs an effect once for an id. `T` is what the effect may use to take part in the inbox's transaction.
 *
 * Contract: `repeat` only where the effect of this id was done before, and durably where the inbox is. When the effect
 * throws the id is not remembered, and the error is the caller's. Of two at once the second waits for the first.
 */
export interface Inbox<T = null> {
  once(id: string, effect: (transaction: T) => Promise<Taken>): Promise<Taken | 'repeat'>;
}

/**
 * In memory: forgets the oldest beyond `maxIds`, and all at a restart. For effects that are harmless when repeated now
 * and then.
 */
export function memoryInbox(options: { readonly maxIds?: number } = {}): Inbox {
  const maxIds = options.maxIds ?? 100_000;
  const done = new Set<string>();
  const running = new Map<string, Promise<Taken>>();
  const run = async (id: string, effect: (transaction: null) => Promise<Taken>): Promise<Taken> => {
    const taken = await effect(null);
    if (taken === 'done') {
      done.add(id);
      // In the order in which they were added.
      for (const oldest of done) {
        if (done.size <= maxIds) break;
        done.delete(oldest);
      }
    }
    return taken;
  };
  return {
    async once(id, effect) {
      for (let first = running.get(id); first !== undefined; first = running.get(id)) {
        await first.catch(() => undefined);
      }
      if (done.has(id)) return 'repeat';
      const own = run(id, effect).finally(() => running.delete(id));
      running.set(id, own);
      return own;
    },
  };
}
