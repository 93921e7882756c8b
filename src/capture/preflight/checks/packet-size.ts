/** Whether a row that the source takes can be larger than what the log takes. */

import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';

/** Before and after image. */
const IMAGES = 2;

export function checkPacketSize({
  settings,
  maxRecordBytes,
}: Pick<Surroundings, 'settings' | 'maxRecordBytes'>): Finding[] {
  const packet = Number(settings.get('max_allowed_packet') ?? 0);
  if (maxRecordBytes === null || packet * IMAGES <= maxRecordBytes) return [];
  return [
    {
      check: 'max_allowed_packet',
      value: `${packet}`,
      want: `half of what a record of the log may have (${maxRecordBytes} bytes), or rows that stay under it`,
      why: 'A row may be as large as a packet, and an update of it has both of its images in one record: one over the limit stops the capture (RECORD_TOO_LARGE).',
      sql: '-- raise the limit of the log, or exclude columns that grow so large (tables[].columns.exclude)',
      severity: 'note',
    },
  ];
}
