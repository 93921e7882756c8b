import { expect, it } from 'vitest';
import { captured } from './support/captured.ts';

/** The statements of Maxwell's own page (docs/docs/dataformat.md in its repository), at moments of ours. */
const SCHEMA = `SET SESSION time_zone = '+00:00';
  CREATE TABLE e (id INT(10) NOT NULL PRIMARY KEY AUTO_INCREMENT, m DOUBLE, c TIMESTAMP(6),
    comment VARCHAR(255) CHARSET 'latin1')`;
const CHANGES = [
  "INSERT INTO e SET m = 4.2341, c = '2016-10-21 05:33:37.523', comment = 'I am a creature of light.'",
  "UPDATE e SET m = 5.444, c = '2016-10-21 05:33:54.631' WHERE id = 1",
  'DELETE FROM e WHERE id = 1',
];

it("writes what Maxwell's page shows, but for what docs/FORMATS.md names", async () => {
  const rule = { format: 'maxwell' } as const;
  await captured({ schema: SCHEMA, rule }, async ({ connection, records, name }) => {
    for (const sql of CHANGES) await connection.query(sql);
    const all = ((await records(CHANGES.length))['e'] ?? []).map(
      ({ value }) => JSON.parse(Buffer.from(value ?? []).toString('utf8')) as object,
    );
    const common = {
      database: name,
      table: 'e',
      ts: expect.any(Number) as number,
      position: expect.stringMatching(/^binlog\.\d{6}:\d+$/) as string,
      server_id: expect.any(Number) as number,
      thread_id: expect.any(Number) as number,
      // xid and commit are left out; these two are in their place.
      gtid: expect.any(String) as string,
      xoffset: 0,
    };
    const first = { m: 4.2341, c: '2016-10-21T05:33:37.523000Z' };
    const second = { m: 5.444, c: '2016-10-21T05:33:54.631000Z' };
    const comment = 'I am a creature of light.';
    expect(all).toEqual([
      { ...common, type: 'insert', data: { id: 1, ...first, comment } },
      { ...common, type: 'update', data: { id: 1, ...second, comment }, old: first },
      { ...common, type: 'delete', data: { id: 1, ...second, comment } },
    ]);
  });
});
