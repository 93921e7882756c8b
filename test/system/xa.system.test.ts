import { join } from 'node:path';

import type { RowDataPacket } from 'mysql2/promise';
import { afterEach, expect, test } from 'vitest';

import { freePort } from '../../services/free-port.ts';
import { parseCheckpoint } from '../../src/checkpoint.ts';
import { GtidSet } from '../../src/gtid-set.ts';
import type { ChangeLog } from '../../src/log/change-log.ts';
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { buildProgram } from '../support/built-program.ts';
import { eventually } from '../support/eventually.ts';
import { freshAccount, freshDatabase, startOwnMysql, withConnection } from '../support/mysql.ts';
import { writeConfig } from '../support/rowcall-process-config.ts';
import { RowcallProcess } from '../support/rowcall-process.ts';
import { tempDir } from '../support/temp-dir.ts';
import { Dice, seededRandom } from '../support/workload-random.ts';
import { SOURCE_GRANTS } from '../support/workload-scene.ts';
import { type ExpectedRecord, XA_TABLES, XaWorkload } from '../support/xa-workload.ts';

const NAME = 'xa';
const STEPS = 300;
const SEED = Number(process.env['ROWCALL_TEST_SEED'] ?? 5);
const TIMEOUT_MS = 240_000;

let daemon: RowcallProcess | undefined;
let log: ChangeLog | undefined;

afterEach(async () => {
  await daemon?.kill();
  await log?.close();
});

async function recordsOf(beside: ChangeLog, topic: string): Promise<ExpectedRecord[]> {
  const found: ExpectedRecord[] = [];
  for (;;) {
    const { records } = await beside.read({ topic, partition: 0 }, found.length, 4 * 1024 * 1024);
    if (records.length === 0) return found;
    for (const { id, operation, value } of records) {
      const { before, after } = JSON.parse(Buffer.from(value ?? []).toString('utf8')) as Record<
        'before' | 'after',
        { readonly id: number; readonly v: string } | null
      >;
      const row = after ?? before;
      found.push([id, operation, row?.id ?? 0, row?.v ?? '']);
    }
  }
}

/** The rows that the records leave, as `id v`, sorted. */
function folded(records: readonly ExpectedRecord[], keyless: boolean): string[] {
  if (keyless) return records.map(([, , id, v]) => `${id} ${v}`).sort();
  const rows = new Map<number, string>();
  for (const [, operation, id, v] of records) {
    if (operation === 'd') rows.delete(id);
    else rows.set(id, v);
  }
  return [...rows].map(([id, v]) => `${id} ${v}`).sort();
}

test(
  'XA transactions come once, in the order of their commits, while connector and server are killed',
  async () => {
    const server = await startOwnMysql({});
    const database = await freshDatabase(NAME, server.url);
    const dice = new Dice(seededRandom(SEED));
    const workload = new XaWorkload(() => server.url, database.name, dice);
    await workload.createTables();
    const folder = tempDir();
    const admin = `127.0.0.1:${await freePort()}`;
    const configFile = writeConfig({
      ...{ folder, name: NAME, admin, callbacks: [] },
      sourceUrl: await freshAccount(SOURCE_GRANTS, server.url),
      tables: XA_TABLES.map((table) => `${database.name}.${table}`),
    });
    const main = buildProgram(NAME);
    const start = (): RowcallProcess =>
      (daemon = new RowcallProcess({ configFile, admin, command: 'connect', main }));
    let running = start();
    await running.ready();
    const beside = await openEmbeddedLog({
      path: join(folder, 'data/events.db'),
      maxBytes: Infinity,
      retention: { ageMs: Infinity, sizeBytes: Infinity },
      clock: systemClock,
      logger: silentLogger,
      create: false,
    });
    log = beside;

    let kills = 0;
    for (let step = 0; step < STEPS; step += 1) {
      await workload.step();
      // A daemon that ended by itself would make the kill a lie.
      expect(running.running, running.stderr).toBe(true);
      if (dice.chance(0.06)) {
        await running.kill();
        running = start();
        kills += 1;
        if (dice.chance(0.7)) await running.ready();
      }
      if (dice.chance(0.015)) {
        await server.kill();
        await server.start();
        kills += 1;
      }
    }
    while (workload.pending > 0) await workload.end('COMMIT');

    const executed = await withConnection(server.url, async (connection) => {
      const [rows] = await connection.query<RowDataPacket[]>('SELECT @@gtid_executed AS gtids');
      return GtidSet.parse(String(rows[0]?.['gtids']));
    });
    await eventually(
      async () => {
        expect(running.running, running.stderr).toBe(true);
        const checkpoint = parseCheckpoint((await beside.readCheckpoint(NAME)) ?? '');
        expect(checkpoint).toMatchObject({ open: [], prepared: [] });
        expect(executed.isSubsetOf(GtidSet.parse(checkpoint.gtidSet ?? ''))).toBe(true);
      },
      { timeoutMs: 60_000 },
    );
    expect(await running.stop(), running.stderr).toEqual({ code: 0, signal: null });

    const again = `ROWCALL_TEST_SEED=${SEED} plays it again`;
    for (const table of XA_TABLES) {
      const records = await recordsOf(beside, `${NAME}.${database.name}.${table}`);
      expect(records, again).toEqual(workload.expected(table));
      const selected = await withConnection(database.url, async (connection) => {
        const [rows] = await connection.query<RowDataPacket[]>(`SELECT id, v FROM ${table}`);
        return rows.map(({ id, v }) => `${String(id)} ${String(v)}`).sort();
      });
      expect(folded(records, table === 'samples'), again).toEqual(selected);
    }
    expect(kills).toBeGreaterThan(10);
    expect(workload.most).toBeGreaterThan(5);
    expect(workload.committed).toBeGreaterThan(100);
    expect(workload.rolledBack).toBeGreaterThan(10);
  },
  TIMEOUT_MS,
);
