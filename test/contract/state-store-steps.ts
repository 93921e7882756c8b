/** The steps of a random life of a dispatcher. */
import fc from 'fast-check';

import type { LaneAction } from '../../src/state/state-store.ts';

export const PARTITIONS = 2;

/** What an attempt comes to. */
export type End = 'delivered' | 'failed' | 'exhausted' | 'dead';

const end = fc.constantFrom<End>('delivered', 'failed', 'failed', 'exhausted', 'dead');

export type Step =
  | {
      readonly do: 'read';
      readonly partition: number;
      readonly key: number;
      readonly match: boolean;
    }
  | { readonly do: 'settle' | 'head'; readonly pick: number; readonly end: End }
  | { readonly do: 'act'; readonly pick: number; readonly action: LaneAction }
  /** The dispatcher does what was asked. */
  | { readonly do: 'skip' }
  | { readonly do: 'commit' }
  | { readonly do: 'reopen' };

export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      partition: fc.nat(PARTITIONS - 1),
      key: fc.nat(3),
      match: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      pick: fc.nat(),
      end,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('head' as const), pick: fc.nat(), end }),
  },
  { weight: 4, arbitrary: fc.constant({ do: 'commit' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('act' as const),
      pick: fc.nat(),
      action: fc.constantFrom<LaneAction>('retry', 'skip', 'park'),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'skip' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'reopen' as const }) },
);
