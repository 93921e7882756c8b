/** What is asked of the source beside its binlog, as the configuration has it. */

import { firstReachable } from './capture/preflight/first-reachable.ts';
import type { SurroundingsWishes } from './capture/preflight/surroundings.ts';
import { SourceWatch } from './capture/source-watch.ts';
import type { Config } from './config/schema.ts';
import { type Clock, systemClock } from './shared/clock.ts';
import type { Logger } from './shared/logger.ts';
import { sourceServers } from './source-connection.ts';
import { usualRecordBytes } from './stores.ts';

const LOOPBACK = /^(?:localhost|::1|127(?:\.\d+){3})$/;

export function surroundingsWishes(config: Config, clock: Clock = systemClock): SurroundingsWishes {
  const { servers, tls } = config.source;
  const { oversize } = config.log;
  return {
    rules: config.tables,
    link: { isLocal: servers.every(isLocal), tlsMode: tls.mode },
    // No row is too large where its value may go elsewhere.
    maxRecordBytes: oversize === 'claim-check' ? null : usualRecordBytes(config),
    clock,
  };
}

function isLocal({ host, socketPath }: Config['source']['servers'][number]): boolean {
  return socketPath !== null || LOOPBACK.test(host ?? '127.0.0.1');
}

export function watchSource(
  config: Config,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): SourceWatch {
  const { source } = config;
  return new SourceWatch({
    open: async (signal) => (await firstReachable(await sourceServers(source), signal)).source,
    wishes: { ...surroundingsWishes(config, clock), ...source },
    clock,
    logger,
  });
}
