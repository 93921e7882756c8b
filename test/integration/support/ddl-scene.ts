/** A database under DDL, captured into a log in memory. */
import { expect } from 'vitest';
import { systemClock } from '../../../src/shared/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { compareWithSelect, fold } from '../../support/fold.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../support/memory-change-log.ts';
import { freshDatabase, withConnection } from '../../support/mysql.ts';
import { parseExactly } from '../../support/receiver-journal.ts';
import { type CaptureRun, runCapture } from './capture-run.ts';

export const PARTITIONS = 3;

type Row = Readonly<Record<string, unknown>>;

export interface Logged {
  readonly partition: number;
  readonly id: string;
  readonly key: string | null;
  readonly operation: string;
  readonly table: string;
  readonly before: Row | null;
  readonly after: Row | null;
  readonly order: number;
}

export interface DdlScene {
  readonly name: string;
  readonly url: string;
  readonly run: CaptureRun;
  readonly store: MemoryLogStore;
  /** Statements one after another in one session. */
  readonly sql: (...statements: string[]) => Promise<void>;
}

export async function openScene(server: string, ...statements: string[]): Promise<DdlScene> {
  const { name, url } = await freshDatabase('ddl', server);
  const sql = async (...texts: string[]): Promise<void> => {
    await withConnection(url, async (connection) => {
      for (const text of texts) await connection.query(text);
    });
  };
  await sql(...statements);
  const store = new MemoryLogStore();
  const run = await startCapture(server, name, store);
  return { name, url, run, store, sql };
}

export async function startCapture(
  server: string,
  name: string,
  store: MemoryLogStore,
  schemaChanges = false,
): Promise<CaptureRun> {
  const tables = [`${name}.*`, '!*.ignored'];
  const run = runCapture({ url: server, tables, store, partitions: PARTITIONS, schemaChanges });
  await eventually(() => {
    expect(run.capture.snapshot().state).toBe('streaming');
  });
  return run;
}

/** What the log has, partition by partition. */
export async function logged(store: MemoryLogStore): Promise<Logged[]> {
  const log = new MemoryChangeLog(store, systemClock);
  const found: Logged[] = [];
  for (const { name: topic, partitions } of await log.topics()) {
    for (let partition = 0; partition < partitions; partition += 1) {
      const { records } = await log.read({ topic, partition }, 0, 64 * 1024 * 1024);
      for (const { id, key, operation, table, value } of records) {
        const envelope = parseExactly(Buffer.from(value ?? []).toString('utf8')) as Pick<
          Logged,
          'before' | 'after'
        > & { readonly source: { readonly gtid: string } };
        const order = Number(/(\d+)$/.exec(envelope.source.gtid)?.[1]);
        const { before, after } = envelope;
        found.push({ partition, id, key, operation, table, before, after, order });
      }
    }
  }
  return found.sort((a, b) => a.order - b.order);
}

/** The rows of the log, without the database's name. */
export async function rowsOf({ store, name }: DdlScene, ...columns: string[]): Promise<string[]> {
  const rows = await logged(store);
  return rows
    .filter(({ partition, operation }) => operation !== 't' || partition === 0)
    .map(({ operation, table, before, after }) => {
      const row = after ?? before ?? {};
      const shown =
        columns.length === 0 ? row : Object.fromEntries(columns.map((c) => [c, row[c]]));
      return `${operation} ${table.replace(`${name}.`, '')} ${JSON.stringify(shown)}`;
    });
}

export async function logHas({ store }: DdlScene, count: number): Promise<void> {
  await eventually(async () => {
    expect(await logged(store)).toHaveLength(count);
  });
}

const OPERATIONS: Readonly<Record<string, 'insert' | 'update' | 'delete' | 'truncate'>> = {
  ...{ c: 'insert', u: 'update', d: 'delete', t: 'truncate' },
};

/** The tables as a receiver of the log's records would have them, against SELECT. */
export async function differences({ store, name, url }: DdlScene): Promise<readonly string[]> {
  const taken = (await logged(store)).map((record) => {
    const operation = OPERATIONS[record.operation] ?? 'insert';
    return { ...record, operation, gtid: '', bytes: 0 };
  });
  return withConnection(url, (connection) =>
    compareWithSelect(connection, name, fold(taken as unknown as Parameters<typeof fold>[0])),
  );
}
