/** The state store's parts for mirroring, replays, resends and settlements as a plain object, to stand in one that replaces other methods. */

import type { HandlerStore } from '../../src/state/handler-store.ts';
import type { MirrorStore } from '../../src/state/mirror-store.ts';
import type { ReplayStore } from '../../src/state/replay-store.ts';
import type { ResendStore } from '../../src/state/resend-store.ts';
import type { SettlementStore } from '../../src/state/settlement-store.ts';
import type { WhereaboutsStore } from '../../src/state/whereabouts.ts';

type Parts = HandlerStore &
  MirrorStore &
  ReplayStore &
  ResendStore &
  SettlementStore &
  WhereaboutsStore;

export function boundResends(store: Parts): Parts {
  return {
    setMirroring: (on) => store.setMirroring(on),
    unmirroredLetters: (callback, limit) => store.unmirroredLetters(callback, limit),
    countUnmirrored: () => store.countUnmirrored(),
    lettersMirrored: (ids) => store.lettersMirrored(ids),
    startReplay: (replay, asked) => store.startReplay(replay, asked),
    replays: (page) => store.replays(page),
    openReplays: () => store.openReplays(),
    replay: (id) => store.replay(id),
    actOnReplay: (id, action, asked) => store.actOnReplay(id, action, asked),
    finishReplay: (id, nowMs) => store.finishReplay(id, nowMs),
    endReplay: (id, nowMs) => store.endReplay(id, nowMs),
    handlers: () => store.handlers(),
    countSettlements: (callback) => store.countSettlements(callback),
    settlementSummaries: () => store.settlementSummaries(),
    settlements: (page) => store.settlements(page),
    actOnSettlement: (id, action, asked) => store.actOnSettlement(id, action, asked),
    scanDeadLetters: (scan) => store.scanDeadLetters(scan),
    countDeadLetters: (scan) => store.countDeadLetters(scan),
    resendOne: (id, data, asked) => store.resendOne(id, data, asked),
    resendMany: (which, extent, asked) => store.resendMany(which, extent, asked),
    resends: (page) => store.resends(page),
    resend: (id) => store.resend(id),
    actOnResend: (id, action, asked) => store.actOnResend(id, action, asked),
    dueResends: (callback, nowMs, limit, busy) => store.dueResends(callback, nowMs, limit, busy),
    whereabouts: (at) => store.whereabouts(at),
    nextResendAt: (callback) => store.nextResendAt(callback),
  };
}
