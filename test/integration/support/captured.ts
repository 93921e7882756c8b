/** A database of its own whose rows are captured into a log in memory. */
import type { Connection } from 'mysql2/promise';
import { expect } from 'vitest';
import type { StoredRecord } from '../../../src/log/change-log.ts';
import { eventually } from '../../support/eventually.ts';
import { MemoryLogStore } from '../../support/memory-change-log.ts';
import { freshDatabase, mysqlUrl, withConnection } from '../../support/mysql.ts';
import { type CaptureRun, runCapture } from './capture-run.ts';

type Options = Partial<Parameters<typeof runCapture>[0]> & { readonly url?: string };

export interface Scene {
  readonly name: string;
  readonly store: MemoryLogStore;
  readonly run: CaptureRun;
  readonly connection: Connection;
  /** By topic, without the database's own name in front; once so many are there. */
  readonly records: (count: number) => Promise<Readonly<Record<string, readonly StoredRecord[]>>>;
}

/** A database of its own, captured from its end on for the time of `work`. */
export async function captured(
  { schema, ...options }: Options & { readonly schema: string },
  work: (scene: Scene) => Promise<void>,
): Promise<void> {
  const { url: server = mysqlUrl() } = options;
  const { name, url } = await freshDatabase('captured', server);
  await withConnection(url, async (connection) => {
    await connection.query(schema);
    const store = options.store ?? new MemoryLogStore();
    const run = runCapture({ url: server, tables: [`${name}.*`], store, ...options });
    try {
      await eventually(() => {
        expect(run.capture.snapshot().state).toBe('streaming');
      });
      const records = async (count: number): Promise<Record<string, StoredRecord[]>> => {
        const all = (): StoredRecord[][] =>
          [...store.topics.values()].map(({ partitions }) =>
            partitions.flatMap((partition) => partition.records),
          );
        await eventually(() => {
          expect(all().flat().length).toBeGreaterThanOrEqual(count);
        });
        const byTopic = [...store.topics.keys()].map((topic, i): [string, StoredRecord[]] => [
          topic.replace(`${name}.`, ''),
          all()[i] ?? [],
        ]);
        return Object.fromEntries(byTopic);
      };
      await work({ name, store, run, connection, records });
    } finally {
      await run.stop();
    }
  });
}
