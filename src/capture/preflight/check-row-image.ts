/** What the source writes of a row: whole images or parts, whole JSON documents or changes. */

import type { Finding } from './check-source.ts';

/**
 * Partial images are read as they are, but a callback misses what is not there; changes of JSON documents only
 * make documents where the row has the ones before them.
 *
 * @param requireFullImage source.require_full_image
 */
export function checkRowImage(
  settings: ReadonlyMap<string, string>,
  requireFullImage: boolean,
): Finding[] {
  const image = settings.get('binlog_row_image') ?? 'not there';
  // MariaDB's FULL_NODUP leaves out only what the image before it has.
  if (['FULL', 'FULL_NODUP'].includes(image.toUpperCase())) return [];
  const findings: Finding[] = [
    {
      check: 'binlog_row_image',
      value: image,
      want: 'FULL',
      why: requireFullImage
        ? 'Other images leave out columns of the row, which source.require_full_image does not allow.'
        : 'Other images leave out columns of the row: they are absent from its events, and a key column that is not there stops the capture.',
      sql: "SET PERSIST binlog_row_image = 'FULL';",
      severity: requireFullImage ? 'error' : 'warning',
    },
  ];
  const options = settings.get('binlog_row_value_options') ?? '';
  // NOBLOB images have the document before a change of it.
  if (image.toUpperCase() === 'MINIMAL' && options.toUpperCase().includes('PARTIAL_JSON')) {
    findings.push({
      check: 'binlog_row_value_options',
      value: options,
      want: 'empty, or binlog_row_image FULL beside it',
      why: 'Changes of JSON documents come without the documents before them: the first one stops the capture.',
      sql: "SET PERSIST binlog_row_value_options = '';",
      severity: 'warning',
    });
  }
  return findings;
}
