/** Cures as MariaDB takes them. */

import type { Finding } from '../check-source.ts';

/** MariaDB has no SET PERSIST: a restart would undo what is set. */
export function inMariadbsWords(finding: Finding): Finding {
  const sql = finding.sql.replaceAll('SET PERSIST', 'SET GLOBAL');
  if (!sql.includes('SET GLOBAL') || sql.includes('my.cnf')) return { ...finding, sql };
  return { ...finding, sql: `${sql} -- and the same in my.cnf` };
}
