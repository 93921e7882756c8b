/** The part of a state store that is about callbacks, as a plain object, for one whose other methods are replaced. */
import type { CallbackStore } from '../../src/state/callback-store.ts';

export function callbackCalls(inner: CallbackStore): CallbackStore {
  return {
    registered: () => inner.registered(),
    registerCallback: (...args) => inner.registerCallback(...args),
    noteTest: (...args) => inner.noteTest(...args),
    noteVersion: (...args) => inner.noteVersion(...args),
    callbackVersions: (...args) => inner.callbackVersions(...args),
    removeCallback: (...args) => inner.removeCallback(...args),
    removedCallbacks: () => inner.removedCallbacks(),
    purgeCallback: (...args) => inner.purgeCallback(...args),
    forgetRemoved: (...args) => inner.forgetRemoved(...args),
    keptAnswer: (...args) => inner.keptAnswer(...args),
    keepAnswer: (...args) => inner.keepAnswer(...args),
  };
}
