/** Forms of the binlog that are read as they are: for whoever wonders. */

import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';

const FORMS = [
  {
    check: 'binlog_transaction_compression',
    isPlain: (value: string) => value.toUpperCase() !== 'ON',
    why: 'Compressed transactions are read as any other; one over 16 MiB waits in a file of the temporary folder.',
  },
  {
    check: 'binlog_row_value_options',
    isPlain: (value: string) => value === '',
    why: 'Changes of JSON documents come out as whole documents, rebuilt from the ones before them.',
  },
  {
    // Of MariaDB.
    check: 'log_bin_compress',
    isPlain: (value: string) => value.toUpperCase() !== 'ON',
    why: 'Compressed events are read as any other.',
  },
] as const;

export function checkWrittenForm({ settings }: Pick<Surroundings, 'settings'>): Finding[] {
  return FORMS.flatMap(({ check, isPlain, why }): Finding[] => {
    const value = settings.get(check) ?? '';
    if (isPlain(value)) return [];
    return [{ check, value, want: 'any', why, sql: '-- nothing to do', severity: 'note' }];
  });
}
