/** A Rowcall in this process over a database of its own, whose one callback `orders` writes back what became of events. */

import { join } from 'node:path';
import { freePort } from '../../../services/free-port.ts';
import { runCli } from '../../../src/operate/cli/cli.ts';
import { createRowcall } from '../../../src/rowcall.ts';
import type { Logger } from '../../../src/shared/logger.ts';
import { type CommandOutput, gather } from '../../support/cli.ts';
import { freshAccount, freshDatabase, withConnection } from '../../support/mysql.ts';
import { openReceiver, type React, type Receiver } from '../../support/settled-receiver.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { SOURCE_GRANTS } from '../../support/workload-scene.ts';

export type Row = Record<string, unknown>;

export interface SettledScene {
  readonly name: string;
  readonly url: string;
  readonly statePath: string;
  readonly receiver: Receiver;
  readonly rows: (sql: string) => Promise<Row[]>;
  /** Runs one Rowcall with one callback until the work is done; `more` are further top keys. */
  readonly run: (callback: object, work: () => Promise<void>, more?: object) => Promise<void>;
  /** Everything that was logged, of all runs. */
  readonly logged: () => string;
  /** A command that asks the Rowcall that runs. */
  readonly command: (...args: readonly string[]) => Promise<CommandOutput>;
  /** What its API answers to an admin. */
  readonly ask: (path: string) => Promise<unknown>;
  readonly close: () => Promise<void>;
}

/** @param react the answer to the event of this id, at this attempt */
export async function openSettledScene(
  tables: readonly string[],
  react: React,
): Promise<SettledScene> {
  const { name, url } = await freshDatabase('settled');
  const folder = tempDir();
  const statePath = join(folder, 'state.db');
  const receiver = await openReceiver(react);
  const source = await freshAccount(SOURCE_GRANTS);
  const gtid = await withConnection(url, async (connection) => {
    const [rows] = await connection.query('SELECT @@GLOBAL.gtid_executed AS seen');
    for (const sql of tables) await connection.query(sql);
    return (rows as { seen: string }[])[0]?.seen ?? '';
  });
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const lines: string[] = [];
  return {
    ...{ name, url, statePath, receiver },
    logged: () => lines.join('\n'),
    command: (...args) =>
      gather((io) => runCli([...args, '--url', address, '--token', ADMIN_TOKEN], io)),
    ask: async (path) => {
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
      return (await fetch(`${address}/v1${path}`, { headers })).json();
    },
    close: () => receiver.close(),
    rows: (sql) =>
      withConnection(url, async (connection) => {
        const [rows] = await connection.query({
          sql,
          dateStrings: true,
          supportBigNumbers: true,
          bigNumberStrings: true,
        } as never);
        return rows as Row[];
      }),
    run: async (callback, work, more = {}) => {
      const config = {
        name: 'settled',
        source: { url: source, start: { gtid } },
        log: { path: join(folder, 'events.db') },
        state: { path: statePath },
        admin: { listen: `127.0.0.1:${port}`, tokens: [ADMIN_TOKEN] },
        tables: [{ match: `${name}.*` }],
        callbacks: [
          {
            ...{ name: 'orders', from: 'earliest', tables: `${name}.orders` },
            deliver: { url: receiver.url, format: 'raw', allow_private_network: true },
            retry: { initial_interval: '10ms', maximum_attempts: 2 },
            on_exhausted: 'dead-letter',
            ...callback,
          },
        ],
        ...more,
      };
      const rowcall = await createRowcall(config, { logger: loggerInto(lines) });
      const stop = new AbortController();
      const running = rowcall.run(stop.signal);
      running.catch(() => undefined);
      try {
        await work();
      } finally {
        stop.abort();
        await running;
      }
    },
  };
}

const ADMIN_TOKEN = 'admin-token-of-this-scene';

function loggerInto(lines: string[]): Logger {
  const add = (fields: object, text: string): void => {
    lines.push(`${JSON.stringify(fields, textOfError)} ${text}`);
  };
  return { debug: add, info: add, warn: add, error: add };
}

/** An error's own fields are not those that JSON has. */
function textOfError(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${value.stack ?? ''} ${String(value.cause)}` : value;
}
