/** The configuration file of a Rowcall child process. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { stringify } from 'yaml';

/** May do everything on the admin address of each process that these tests start. */
export const ADMIN_TOKEN = 'admin-token-of-the-tests';

export interface CallbackSetup {
  readonly name: string;
  readonly url: string;
  readonly secret: string;
  /** Globs on schema.table. */
  readonly tables: readonly string[];
  /** Further keys of the callback, as they stand in YAML. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Further keys of its `deliver`. */
  readonly deliver?: Readonly<Record<string, unknown>>;
}

export interface ConfigSetup {
  readonly folder: string;
  readonly name: string;
  readonly sourceUrl: string;
  /** `127.0.0.1:port`. */
  readonly admin: string;
  readonly tables: readonly string[];
  readonly callbacks: readonly CallbackSetup[];
  /** Further keys of the source, as they stand in YAML. */
  readonly source?: Readonly<Record<string, unknown>>;
  /** Further top keys. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Writes `rowcall.yaml` into the folder and returns its path. Log and state stand beside it. */
export function writeConfig(setup: ConfigSetup): string {
  mkdirSync(setup.folder, { recursive: true });
  const file = join(setup.folder, 'rowcall.yaml');
  const text = stringify({
    name: setup.name,
    source: {
      ...(setup.source?.['urls'] === undefined ? { url: setup.sourceUrl } : {}),
      ...setup.source,
    },
    log: { type: 'embedded', path: './data/events.db' },
    tables: [{ match: setup.tables }],
    callbacks: setup.callbacks.map((callback) => ({
      name: callback.name,
      tables: callback.tables,
      from: 'earliest',
      deliver: {
        url: callback.url,
        secrets: [callback.secret],
        allow_private_network: true,
        ...callback.deliver,
      },
      ...callback.options,
    })),
    state: { type: 'sqlite', path: './data/state.db' },
    admin: { listen: setup.admin, tokens: [ADMIN_TOKEN] },
    ...setup.options,
  });
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}
