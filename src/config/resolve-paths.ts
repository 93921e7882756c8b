/** Paths of the configuration made absolute, each from the folder of the file that names it. */

import { resolve } from 'node:path';
import type { CallbackConfig, Config, DeliverConfig } from './schema.ts';

/** The same configuration with every path absolute; relative ones begin in `baseDir`. */
export function resolvePaths(config: Config, baseDir: string): Config {
  const from = (path: string): string => resolve(baseDir, path);
  const maybe = (path: string | null): string | null => (path === null ? null : from(path));
  const { source, log, state } = config;
  return {
    ...config,
    source: {
      ...source,
      socketPath: maybe(source.socketPath),
      tls: {
        mode: source.tls.mode,
        ca: maybe(source.tls.ca),
        cert: maybe(source.tls.cert),
        key: maybe(source.tls.key),
      },
    },
    log: { ...log, path: from(log.path) },
    state: { ...state, path: from(state.path) },
    callbacks: config.callbacks.map((callback): CallbackConfig => ({
      ...callback,
      deliver: resolveDeliver(callback.deliver, from),
    })),
  };
}

function resolveDeliver(deliver: DeliverConfig, from: (path: string) => string): DeliverConfig {
  return deliver.type === 'module' ? { ...deliver, path: from(deliver.path) } : deliver;
}
