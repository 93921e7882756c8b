/** A running admin address over a state store in a file, with one token for each role. */

import { CallbackSet } from '../../src/callback-set.ts';
import type { CallbackOptions } from '../../src/deliver/callback-options.ts';
import { openFirstCursors } from '../../src/deliver/intake/open-cursors.ts';
import type { ChangeLog } from '../../src/log/change-log.ts';
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { type AdminParts, AdminServer } from '../../src/operate/admin/server.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { type Logger, silentLogger } from '../../src/shared/logger.ts';
import { openSqliteState } from '../../src/state/sqlite/sqlite-state.ts';
import type { StateStore } from '../../src/state/state-store.ts';
import { tempDir } from './temp-dir.ts';

export const ADMIN_TOKENS = {
  viewer: 'viewer-token-0123456789',
  operator: 'operator-token-0123456789',
  admin: 'admin-token-0123456789',
} as const;

export function adminConfig(more: object = {}): Config {
  const [viewer, operator] = (['viewer', 'operator'] as const).map((role) => ({
    ...{ name: `the-${role}`, role, token: ADMIN_TOKENS[role] },
  }));
  return parseConfig(
    {
      name: 'shop',
      source: { url: 'mysql://rowcall@127.0.0.1:3306' },
      tables: [{ match: 'shop.*' }],
      callbacks: ['supply-chain', 'audit'].map((name) => ({
        name,
        tables: ['shop.*'],
        deliver: {
          url: 'https://example.com/hook?token=secret-in-query',
          headers: { authorization: 'Bearer secret-in-header' },
          secrets: [`whsec_${Buffer.alloc(32, 7).toString('base64')}`],
        },
      })),
      admin: { listen: '127.0.0.1:0', tokens: [viewer, operator, ADMIN_TOKENS.admin] },
      ...more,
    },
    '/',
  );
}

export interface AdminScene {
  readonly url: string;
  readonly state: StateStore;
  /** Asks as the role; the answer's status, content type and JSON. */
  readonly ask: (
    path: string,
    options?: {
      readonly role?: keyof typeof ADMIN_TOKENS | null;
      readonly method?: string;
      readonly json?: object;
      readonly token?: string;
      readonly headers?: Readonly<Record<string, string>>;
    },
  ) => Promise<{
    readonly status: number;
    readonly type: string;
    readonly body: unknown;
    readonly etag?: string;
  }>;
  /** What the delivery leg was told, with `registry`: versions by `name@version`, names of those that end. */
  readonly told: readonly string[];
  readonly close: () => Promise<void>;
}

/** @param registry whether callbacks may be made, changed and removed */
export async function openAdmin(
  parts: Partial<AdminParts> = {},
  { registry = false } = {},
): Promise<AdminScene> {
  const state = await openSqliteState({ path: `${tempDir()}/state.db` });
  const log = await openEmbeddedLog({
    ...{ path: `${tempDir()}/events.db`, maxBytes: 1e9, create: true },
    retention: { ageMs: 1e9, sizeBytes: 1e9 },
    ...{ clock: systemClock, logger: silentLogger },
  });
  const stop = new AbortController();
  const { promise: address, resolve } = Promise.withResolvers<string>();
  const logger: Logger = {
    ...silentLogger,
    info: (fields) => {
      if ('address' in fields) resolve(String(fields.address));
    },
  };
  const told: string[] = [];
  const config = parts.config ?? adminConfig();
  const callbacks = registry ? await openRegistry(config, { state, log, told }) : null;
  const server = new AdminServer({
    ...{
      host: '127.0.0.1',
      port: 0,
      config: adminConfig(),
      state,
      clock: systemClock,
      logger,
      log,
    },
    ...{ capture: null, deliver: null },
    ...(callbacks === null ? {} : { callbacks }),
    ...parts,
  });
  const running = server.run(stop.signal);
  const url = await address;
  return {
    url,
    state,
    told,
    ask: async (path, { role = 'viewer', method = 'GET', token, json, ...more } = {}) => {
      const bearer = token ?? (role === null ? null : ADMIN_TOKENS[role]);
      const headers = {
        ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...more.headers,
      };
      const body = json === undefined ? null : JSON.stringify(json);
      const answer = await fetch(`${url}${path}`, { method, headers, body });
      const type = answer.headers.get('content-type') ?? '';
      const etag = answer.headers.get('etag');
      return {
        ...{ status: answer.status, type, body: await answer.json() },
        ...(etag === null ? {} : { etag }),
      };
    },
    close: async () => {
      stop.abort();
      await running;
      await state.close();
      await log.close();
    },
  };
}

async function openRegistry(
  config: Config,
  { state, log, told }: { state: StateStore; log: ChangeLog; told: string[] },
): Promise<CallbackSet> {
  const set = await CallbackSet.open({
    ...{ config, state, log, clock: systemClock, logger: silentLogger },
    adopted: () => undefined,
    begin: (next) =>
      openFirstCursors(next, { log, state, acceptLostState: false, logger: silentLogger }),
    build: ({ config: callback, version }) =>
      Promise.resolve({
        ...callback,
        onSettled: undefined,
        version,
        sender: {
          send: () => Promise.resolve({ kind: 'delivered' as const }),
          close: () => Promise.resolve(),
        },
      }),
  });
  const change = (one: CallbackOptions | string): Promise<void> => {
    told.push(typeof one === 'string' ? one : `${one.name}@${one.version ?? 0}`);
    return Promise.resolve();
  };
  await set.attach(Promise.resolve({ change }));
  return set;
}
