/** Paths of the configuration made absolute, each from the folder of the file that names it. */

import { resolve } from 'node:path';
import type { CallbackConfig, Config, DeliverConfig, LogConfig, TlsConfig } from './schema.ts';

/** The same configuration with every path absolute; relative ones begin in `baseDir`. */
export function resolvePaths(config: Config, baseDir: string): Config {
  const from = (path: string): string => resolve(baseDir, path);
  const maybe = (path: string | null): string | null => (path === null ? null : from(path));
  const { source, log, state } = config;
  return {
    ...config,
    source: {
      ...source,
      servers: source.servers.map((server) => ({
        ...server,
        socketPath: maybe(server.socketPath),
      })),
      tls: resolveTls(source.tls, from),
    },
    log: resolveLog(log, from),
    state: { ...state, path: from(state.path) },
    callbacks: config.callbacks.map((callback): CallbackConfig => ({
      ...callback,
      deliver: resolveDeliver(callback.deliver, from),
      onSettled:
        callback.onSettled === null
          ? null
          : { ...callback.onSettled, tls: resolveTls(callback.onSettled.tls, from) },
    })),
  };
}

type Resolve = (path: string) => string;

function resolveLog(log: LogConfig, from: Resolve): LogConfig {
  const claimCheck = { ...log.claimCheck, path: from(log.claimCheck.path) };
  if (log.type === 'kafka') return { ...log, claimCheck, tls: resolveTls(log.tls, from) };
  return { ...log, claimCheck, path: from(log.path) };
}

function resolveTls(tls: TlsConfig, from: Resolve): TlsConfig {
  return { mode: tls.mode, ...resolveFiles(tls, from) };
}

type TlsFiles = Pick<TlsConfig, 'ca' | 'cert' | 'key'>;

function resolveFiles({ ca, cert, key }: TlsFiles, from: Resolve): TlsFiles {
  const maybe = (path: string | null): string | null => (path === null ? null : from(path));
  return { ca: maybe(ca), cert: maybe(cert), key: maybe(key) };
}

function resolveDeliver(deliver: DeliverConfig, from: Resolve): DeliverConfig {
  if (deliver.type === 'module') return { ...deliver, path: from(deliver.path) };
  if (deliver.type === 'handler' || deliver.tls === null) return deliver;
  return { ...deliver, tls: resolveFiles(deliver.tls, from) };
}
