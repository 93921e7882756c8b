/** What the order of one callback is kept with. */

import type { Clock, Random } from '../../shared/clock.ts';
import type { LargeWork } from '../../shared/large-work.ts';
import type { Logger } from '../../shared/logger.ts';
import type { CallbackHold } from '../../state/state-store.ts';
import type { CallbackOptions } from '../callback-options.ts';
import type { Settler } from '../settle/settler.ts';
import type { CallbackCounters } from './callback-counters.ts';
import type { GateParts } from './gate.ts';
import type { HandlerCare } from './handler-care.ts';
import type { LaneIndex } from './lane-index.ts';
import type { OutcomeParts } from './outcome-changes.ts';
import type { SharedEndpoint } from './shared-endpoint.ts';
import type { Turns } from './turns.ts';

export interface DispatcherParts
  extends Pick<GateParts, 'handingOver'>, Pick<OutcomeParts, 'settlements'> {
  readonly options: CallbackOptions;
  readonly settler: Settler;
  readonly lanes: LaneIndex;
  readonly large: LargeWork;
  /** Shared by all callbacks of the process. */
  readonly turns: Turns;
  /** Shared with replays of the callback, or with the callback; absent where there are none. */
  readonly endpoint?: SharedEndpoint;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly counters: CallbackCounters;
  readonly hold: CallbackHold | null;
  /** Of a callback whose handler may end the process. */
  readonly care?: HandlerCare | null;
  /** Aborts attempts in flight: the drain's deadline has passed. */
  readonly abandon: AbortSignal;
  /** Lanes may have become due or free: look again. */
  readonly onLanes: () => void;
  /** A dead letter that was in hand goes again, or went. */
  readonly onResends: () => void;
  /** A lane has become empty, durably. */
  readonly onLaneEmptied: (topic: string, key: string) => void;
  /** Something that must not happen did: the leg ends. */
  readonly onFailure: (error: unknown) => void;
}
