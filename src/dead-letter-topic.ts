/** Where the dead letters of a callback are mirrored (`log.dead_letters`). */

/** How such a topic's name ends. */
export const DEAD_LETTERS = '.dead-letters';

/**
 * Those of a replay (`<callback>.replay-<id>`) stand with those of its callback.
 *
 * @param name the configuration's; neither it nor a callback's name has a dot, so that no two callbacks share a topic
 */
export function deadLetterTopic(name: string, callback: string): string {
  const [own = callback] = callback.split('.', 1);
  return `${name}.${own}${DEAD_LETTERS}`;
}

/** Whether it is kept for the dead letters of a callback, of whatever name: then no table has it, and no callback reads it. */
export function isDeadLetterTopic(name: string, topic: string): boolean {
  if (!topic.startsWith(`${name}.`) || !topic.endsWith(DEAD_LETTERS)) return false;
  return /^[a-z0-9-]+$/.test(topic.slice(name.length + 1, -DEAD_LETTERS.length));
}
