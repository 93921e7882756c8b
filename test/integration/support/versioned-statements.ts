/** Random statements over the rows of a system-versioned table `t` (id, v, w, x). */
import fc from 'fast-check';

/** Any statement that changes rows, of rows that there are or not; insertions twice, so that there are some. */
type Kind = (id: number, v: number, other: number) => string;

const INSERT: Kind = (id, v, other) =>
  `INSERT IGNORE INTO t (id, v, x) VALUES (${id}, ${v}, 'a'), (${other}, ${v}, 'b')`;
const KINDS: readonly Kind[] = [
  INSERT,
  INSERT,
  (id, v) => `UPDATE t SET v = ${v} WHERE id = ${id}`,
  (id, _v, other) => `UPDATE IGNORE t SET id = ${other} WHERE id = ${id}`,
  (id, v) => `UPDATE t SET w = ${v} WHERE id <= ${id}`,
  (id) => `DELETE FROM t WHERE id = ${id}`,
  (id, v, other) => `REPLACE INTO t (id, v) VALUES (${id}, ${v}), (${other}, ${v})`,
  (id, v) =>
    `INSERT INTO t (id, v) VALUES (${id}, ${v}) ON DUPLICATE KEY UPDATE v = v + 1, w = ${v}`,
  (id, _v, other) =>
    `UPDATE t JOIN (SELECT ${id} AS id UNION SELECT ${other}) AS o USING (id) SET t.x = 'c'`,
  (id, _v, other) =>
    `DELETE t FROM t JOIN (SELECT ${id} AS id UNION SELECT ${other}) AS o USING (id)`,
  (_id, v) => ['DELETE HISTORY FROM t', 'ROLLBACK'][v] ?? 'COMMIT',
  (_id, v, other) =>
    v === 0 ? 'SET @@timestamp = DEFAULT' : `SET @@timestamp = ${1e9 + v * 1e6 + other}`,
];

const STATEMENT = fc
  .tuple(
    fc.constantFrom(...KINDS),
    fc.integer({ min: 1, max: 6 }),
    fc.nat(3),
    fc.integer({ min: 1, max: 6 }),
  )
  .map(([statement, id, v, other]) => statement(id, v, other));

/** @param without beginnings of statements that are left out */
export function statementsOf(seed: number, without: readonly string[]): string[] {
  const [statements = []] = fc.sample(fc.array(STATEMENT, { minLength: 60, maxLength: 60 }), {
    numRuns: 1,
    seed,
  });
  return statements.filter((sql) => !without.some((start) => sql.startsWith(start)));
}
