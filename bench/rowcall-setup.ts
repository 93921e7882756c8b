/** A Rowcall with its configuration and folder, for one measurement. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from '../services/free-port.ts';
import type { RowcallProcess } from '../test/support/rowcall-process.ts';
import { writeConfig } from '../test/support/rowcall-process-config.ts';
import type { Running } from './children.ts';
import type { BinlogPlace, Source } from './source.ts';

export interface RowcallSetup {
  readonly name?: string;
  readonly tables: readonly string[];
  readonly start: BinlogPlace;
  /** Of the receiver; without one there is no callback. */
  readonly url?: string;
  /** Keys of the callback, as they stand in YAML. */
  readonly callback?: Readonly<Record<string, unknown>>;
  /** The log section; default: the embedded log. */
  readonly log?: Readonly<Record<string, unknown>>;
}

export interface PreparedRowcall {
  readonly configFile: string;
  readonly admin: string;
  /** Of the embedded log. */
  readonly logPath: string;
}

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

/** Its folder is gone when `work` has ended. */
export async function withRowcall<T>(
  source: Source,
  setup: RowcallSetup,
  work: (rowcall: PreparedRowcall) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'rowcall-bench-'));
  const admin = `127.0.0.1:${await freePort()}`;
  const configFile = writeConfig({
    folder,
    name: setup.name ?? 'bench',
    sourceUrl: source.accountUrl,
    admin,
    tables: setup.tables.map((table) => `${source.database}.${table}`),
    source: { start: { file: setup.start.file, position: setup.start.position } },
    ...(setup.log === undefined ? {} : { options: { log: setup.log } }),
    callbacks:
      setup.url === undefined
        ? []
        : [
            {
              name: 'bench',
              url: setup.url,
              secret: SECRET,
              tables: [`${source.database}.*`],
              options: setup.callback ?? { concurrency: 64 },
            },
          ],
  });
  try {
    return await work({ configFile, admin, logPath: join(folder, 'data', 'events.db') });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The daemon as one that is measured. */
export function asRunning(daemon: RowcallProcess): Running {
  return {
    pid: daemon.pid,
    get running(): boolean {
      return daemon.running;
    },
    trouble: () => Promise.resolve(daemon.stderr.slice(-2000)),
  };
}
