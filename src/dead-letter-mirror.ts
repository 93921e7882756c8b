/** Who writes the dead letters of this process to their topics, where the configuration asks for that. */

import type { Config } from './config/schema.ts';
import { DeadLetterMirror } from './deliver/dead-letters/mirror.ts';
import type { Clock, Random } from './shared/clock.ts';
import type { Logger } from './shared/logger.ts';
import type { StateStore } from './state/state-store.ts';
import { openLetterTopics } from './stores.ts';

export interface LetterMirrorParts {
  readonly state: StateStore;
  readonly callbacks: { readonly names: readonly string[] };
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** To be asked for before anything is delivered: the store takes letters from then on, or no more. */
export async function deadLetterMirror(
  config: Config,
  { state, callbacks, ...parts }: LetterMirrorParts,
): Promise<DeadLetterMirror | null> {
  const topics = await openLetterTopics(config, parts);
  await state.setMirroring(topics !== null);
  if (topics === null) return null;
  const names = (): readonly string[] => callbacks.names;
  return new DeadLetterMirror({ ...parts, name: config.name, state, topics, callbacks: names });
}
