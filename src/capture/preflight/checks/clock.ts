/** Whether the source's clock and ours tell the same time. */

import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';

/** Less than this is nobody's trouble. */
const TOLERATED_MS = 5_000;

export async function checkClock({
  source,
  clock,
}: Pick<Surroundings, 'source' | 'clock'>): Promise<Finding[]> {
  const before = clock.now();
  const server = Number(await source.value('SELECT UNIX_TIMESTAMP(NOW(6))')) * 1000;
  const after = clock.now();
  // The answer was true at some moment between the two.
  const ahead = server > after ? server - after : Math.min(0, server - before);
  if (Math.abs(ahead) <= TOLERATED_MS) return [];
  const seconds = Math.round(Math.abs(ahead) / 1000);
  return [
    {
      check: 'clock of the source',
      value: `${seconds} s ${ahead > 0 ? 'ahead of' : 'behind'} ours`,
      want: 'the same time',
      why: 'Lag is told wrong by so much, and receivers may refuse signatures whose time is too far from theirs.',
      sql: '-- set both machines by NTP (chronyc tracking, timedatectl)',
      severity: 'warning',
    },
  ];
}
