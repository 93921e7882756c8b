/** A database of a MariaDB server whose tables are captured into a log in memory, by several runs in turn. */
import type { MysqlServer } from '../../../services/mysql.ts';
import type { TableRule } from '../../../src/capture/route/table-rule.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../support/memory-change-log.ts';
import { freshDatabase, withConnection } from '../../support/mysql.ts';
import { type CaptureRun, runCapture, streaming } from './capture-run.ts';

const MIB = 1024 * 1024;

export type Row = Readonly<Record<string, unknown>>;

export interface Change {
  readonly id: string;
  readonly operation: string;
  readonly key: string | null;
  readonly before: Row | null;
  readonly after: Row | null;
}

export interface MariadbScene {
  readonly name: string;
  /** With the database as the session's own. */
  readonly url: string;
  readonly sql: (...statements: readonly string[]) => Promise<void>;
  readonly run: (rule?: Partial<TableRule>, url?: string) => CaptureRun;
  /** Streaming. */
  readonly start: (rule?: Partial<TableRule>, url?: string) => Promise<CaptureRun>;
  /** What stands in the log of a table, in its order. */
  readonly changes: (table?: string) => Promise<Change[]>;
  /** An account that may follow the binlog and see no table: its URL and its name. */
  readonly reader: () => Promise<{ readonly url: string; readonly user: string }>;
}

export async function openMariadbScene(server: MysqlServer, prefix: string): Promise<MariadbScene> {
  const { name, url } = await freshDatabase(prefix, server.url);
  const store = new MemoryLogStore();
  const sql = (...statements: readonly string[]): Promise<void> =>
    withConnection(url, async (connection) => {
      for (const statement of statements) await connection.query(statement);
    });
  const run = (rule: Partial<TableRule> = {}, as = server.url): CaptureRun =>
    runCapture({ url: as, tables: [`${name}.*`], store, rule });
  return {
    ...{ name, url, sql, run },
    start: async (rule, as) => {
      const started = run(rule, as);
      await streaming(started);
      return started;
    },
    changes: (table = 't') => changesOf(store, `${name}.${table}`),
    reader: async () => {
      const user = `reader_${name}`;
      await sql(
        `CREATE USER ${user} IDENTIFIED BY 'secret'`,
        `GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO ${user}`,
      );
      const reader = new URL(server.url);
      [reader.username, reader.password] = [user, 'secret'];
      return { url: reader.href, user };
    },
  };
}

async function changesOf(store: MemoryLogStore, topic: string): Promise<Change[]> {
  const log = new MemoryChangeLog(store, systemClock);
  const { records } = await log.read({ topic, partition: 0 }, 0, 64 * MIB);
  return records.map(({ id, operation, key, value }) => {
    const { before, after } = JSON.parse(Buffer.from(value ?? []).toString('utf8')) as Pick<
      Change,
      'before' | 'after'
    >;
    return { id, operation, key, before, after };
  });
}
