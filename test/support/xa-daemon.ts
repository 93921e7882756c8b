/** Rowcall's capture as a process over a server of its own, under a workload of XA transactions whose rows are known. */

import { isDeepStrictEqual } from 'node:util';

import type { RowDataPacket } from 'mysql2/promise';
import { expect } from 'vitest';

import { freePort } from '../../services/free-port.ts';
import type { MysqlServer } from '../../services/mysql.ts';
import { parseCheckpoint } from '../../src/checkpoint.ts';
import { loadConfig } from '../../src/config/load.ts';
import { GtidSet } from '../../src/gtid-set.ts';
import type { ChangeLog } from '../../src/log/change-log.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { openLog } from '../../src/stores.ts';
import { eventually } from './eventually.ts';
import { freshAccount, freshDatabase, startOwnMysql, withConnection } from './mysql.ts';
import { writeConfig } from './rowcall-process-config.ts';
import { RowcallProcess } from './rowcall-process.ts';
import { tempDir } from './temp-dir.ts';
import type { Dice } from './workload-random.ts';
import { SOURCE_GRANTS } from './workload-scene.ts';
import { type ExpectedRecord, XA_TABLES, XaWorkload } from './xa-workload.ts';

const READ_BYTES = 4 * 1024 * 1024;
const CAUGHT_UP_MS = 60_000;

export interface XaDaemonOptions {
  readonly name: string;
  readonly dice: Dice;
  /** main.js of a build. Default: the sources. */
  readonly main?: string;
  /** The log's section, as it stands in YAML. Default: a file beside the configuration. */
  readonly log?: Readonly<Record<string, unknown>>;
}

/** Close it, however the test ends. */
export class XaDaemon {
  readonly server: MysqlServer;
  readonly workload: XaWorkload;
  readonly #options: XaDaemonOptions;
  readonly #database: { readonly name: string; readonly url: string };
  readonly #admin: string;
  readonly #configFile: string;
  #running: RowcallProcess | undefined;
  #beside: ChangeLog | undefined;

  private constructor(parts: {
    readonly server: MysqlServer;
    readonly workload: XaWorkload;
    readonly options: XaDaemonOptions;
    readonly database: { readonly name: string; readonly url: string };
    readonly admin: string;
    readonly configFile: string;
  }) {
    this.server = parts.server;
    this.workload = parts.workload;
    this.#options = parts.options;
    this.#database = parts.database;
    this.#admin = parts.admin;
    this.#configFile = parts.configFile;
  }

  static async open(options: XaDaemonOptions): Promise<XaDaemon> {
    const { name, dice, log } = options;
    const server = await startOwnMysql({});
    const database = await freshDatabase(name.replaceAll('-', '_'), server.url);
    const workload = new XaWorkload(() => server.url, database.name, dice);
    await workload.createTables();
    const admin = `127.0.0.1:${await freePort()}`;
    const configFile = writeConfig({
      ...{ folder: tempDir(), name, admin, callbacks: [] },
      sourceUrl: await freshAccount(SOURCE_GRANTS, server.url),
      tables: XA_TABLES.map((table) => `${database.name}.${table}`),
      ...(log === undefined ? {} : { options: { log } }),
    });
    return new XaDaemon({ server, workload, options, database, admin, configFile });
  }

  start(env: Readonly<Record<string, string>> = {}): RowcallProcess {
    const { main } = this.#options;
    this.#running = new RowcallProcess({
      ...{ configFile: this.#configFile, admin: this.#admin, command: 'connect', env },
      ...(main === undefined ? {} : { main }),
    });
    return this.#running;
  }

  async close(): Promise<void> {
    await this.#running?.kill();
    await this.#beside?.close();
  }

  /** Ends what is prepared, waits until all is in the log, and stops the process. */
  async settle(running: RowcallProcess): Promise<void> {
    while (this.workload.pending > 0) await this.workload.end('COMMIT');
    const executed = await withConnection(this.server.url, async (connection) => {
      const [rows] = await connection.query<RowDataPacket[]>('SELECT @@gtid_executed AS gtids');
      return GtidSet.parse(String(rows[0]?.['gtids']));
    });
    const beside = await this.#log();
    await eventually(
      async () => {
        expect(running.running, running.stderr).toBe(true);
        const text = await beside.readCheckpoint(this.#options.name);
        const checkpoint = parseCheckpoint(text ?? '');
        expect(checkpoint).toMatchObject({ open: [], prepared: [] });
        expect(executed.isSubsetOf(GtidSet.parse(checkpoint.gtidSet ?? ''))).toBe(true);
      },
      { timeoutMs: CAUGHT_UP_MS },
    );
    expect(await running.stop(), running.stderr).toEqual({ code: 0, signal: null });
  }

  /** What the log has otherwise than the workload committed it, or leaves otherwise than a SELECT has it. */
  async findings(): Promise<string[]> {
    const findings: string[] = [];
    for (const table of XA_TABLES) {
      const records = await this.#records(`${this.#options.name}.${this.#database.name}.${table}`);
      const expected = this.workload.expected(table);
      const at = expected.findIndex((one, index) => !isDeepStrictEqual(one, records[index]));
      if (at >= 0 || records.length !== expected.length) {
        const [is, was] = [records, expected].map((all) =>
          JSON.stringify(all[at] ?? null).slice(0, 200),
        );
        findings.push(
          `${table}: ${records.length} of ${expected.length}; at ${at} ${is} instead of ${was}`,
        );
      }
      const selected = await withConnection(this.#database.url, async (connection) => {
        const [rows] = await connection.query<RowDataPacket[]>(`SELECT id, v FROM ${table}`);
        return rows.map(({ id, v }) => `${String(id)} ${String(v)}`).sort();
      });
      if (!isDeepStrictEqual(folded(records, table === 'samples'), selected)) {
        findings.push(`${table}: the records leave other rows than the table has`);
      }
    }
    return findings;
  }

  async #log(): Promise<ChangeLog> {
    const parts = { clock: systemClock, logger: silentLogger, create: false };
    this.#beside ??= await openLog(await loadConfig(this.#configFile, {}), parts);
    return this.#beside;
  }

  async #records(topic: string): Promise<ExpectedRecord[]> {
    const log = await this.#log();
    const at = { topic, partition: 0 };
    const { start, end } = await log.bounds(at);
    const found: ExpectedRecord[] = [];
    for (let offset = start; offset < end;) {
      const { records, nextOffset } = await log.read(at, offset, READ_BYTES);
      if (nextOffset === offset) break;
      offset = nextOffset;
      for (const { id, operation, value } of records) {
        const { before, after } = JSON.parse(Buffer.from(value ?? []).toString('utf8')) as Record<
          'before' | 'after',
          { readonly id: number; readonly v: string } | null
        >;
        const row = after ?? before;
        found.push([id, operation, row?.id ?? 0, row?.v ?? '']);
      }
    }
    return found;
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
