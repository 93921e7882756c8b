/** Named time zones are no need of ours: told for those who look for the cause of a difference. */

import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';

export async function checkTimeZones({
  source,
  version,
}: Pick<Surroundings, 'source' | 'version'>): Promise<Finding[]> {
  const known = await source.value(
    "SELECT CONVERT_TZ('2000-01-01 00:00:00', 'UTC', 'Europe/Berlin')",
  );
  if (known !== null) return [];
  return [
    {
      check: 'time zone tables',
      value: 'empty',
      want: 'any: events have UTC, which needs none',
      why: 'Whoever compares a TIMESTAMP by CONVERT_TZ with a named zone gets NULL.',
      sql: version.isMariaDb
        ? '-- mariadb-tzinfo-to-sql /usr/share/zoneinfo | mariadb -u root mysql'
        : '-- mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql -u root mysql',
      severity: 'note',
    },
  ];
}
