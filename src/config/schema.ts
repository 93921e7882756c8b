/**
 * The configuration, defined once: names, types, defaults, bounds and texts. From here come the
 * TypeScript types, the errors, the JSON Schema for editors, and the tests that hold the example and
 * docs/CONFIG.md to it. Snake_case outside and camelCase with units inside meet in each section's transform.
 */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { duration, expecting, slug } from './scalars.ts';
import { completionsSchema } from './sections/async.ts';
import { callbacksSchema } from './sections/callbacks.ts';
import { logSchema } from './sections/log.ts';
import { sourceSchema } from './sections/source.ts';
import { adminSchema, checkpointSchema, stateSchema } from './sections/storage.ts';
import { tablesSchema } from './sections/tables.ts';

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

export const configSchema = z
  .strictObject(
    {
      name: slug('name: shop').describe(
        'Name of this pipeline: key of the checkpoint, part of topic names, label of metrics.',
      ),
      source: sourceSchema,
      log: logSchema.prefault({}),
      checkpoint: checkpointSchema.prefault({}),
      tables: tablesSchema,
      callbacks: callbacksSchema.prefault([]),
      state: stateSchema.prefault({}),
      completions: completionsSchema,
      admin: adminSchema.prefault({}),
      shutdown_timeout: duration(['100ms', '1h'])
        .prefault('30s')
        .describe('How long stopping may wait for what is in flight.'),
      log_level: z
        .enum(LOG_LEVELS)
        .default('info')
        .describe('Least severe line that is written to standard error.'),
    },
    { error: expecting('a mapping', 'name, source and tables') },
  )
  .transform(({ shutdown_timeout, log_level, ...config }) => ({
    ...config,
    source: { ...config.source, serverId: config.source.serverId ?? serverIdOf(config.name) },
    shutdownTimeoutMs: shutdown_timeout,
    logLevel: log_level,
  }));

/** The whole configuration as the program sees it: checked, with defaults, durations in ms, sizes in bytes. */
export type Config = z.output<typeof configSchema>;
export type SourceConfig = Config['source'];
export type TlsConfig = SourceConfig['tls'];
export type StartConfig = SourceConfig['start'];
export type LogConfig = Config['log'];
export type KafkaLogConfig = Extract<LogConfig, { type: 'kafka' }>;
export type StateConfig = Config['state'];
export type AdminConfig = Config['admin'];
export type TableRule = Config['tables'][number];
export type CallbackConfig = Config['callbacks'][number];
export type DeliverConfig = CallbackConfig['deliver'];
export type HttpDeliverConfig = Extract<DeliverConfig, { type: 'http' }>;
export type PollConfig = NonNullable<NonNullable<HttpDeliverConfig['async']>['completion']>;
export type OnSettledConfig = NonNullable<CallbackConfig['onSettled']>;
export type LogLevel = Config['logLevel'];

/**
 * The server id of a pipeline that names none: the same for a name on every machine, and from 10^9 on,
 * where servers numbered by hand do not stand. Preflight looks for a collision all the same.
 */
export function serverIdOf(name: string): number {
  const first = 1_000_000_000;
  const hash = createHash('sha256').update(name).digest().readUIntBE(0, 6);
  return first + (hash % (2 ** 32 - first));
}
