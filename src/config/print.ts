/** A configuration as YAML for a person: every option with its effective value, secrets masked. */

import { stringify } from 'yaml';
import { formatDuration, formatSize } from './quantities.ts';
import { printDeliver } from './print-deliver.ts';
import { formatHostAndPort } from './scalars.ts';
import type { CallbackConfig, Config, LogConfig, SourceConfig, TableRule } from './schema.ts';
import { MASK, type Secret } from './secret.ts';
import { withoutNull } from './without-null.ts';

/**
 * The names and units are those of the file, so that what is printed reads as a configuration. Passwords,
 * signing secrets, header values and the query of a callback's URL stand as `***`.
 */
export function printConfig(config: Config): string {
  const { log, admin } = config;
  return stringify(
    {
      name: config.name,
      source: printSource(config.source),
      log: printLog(log),
      checkpoint: config.checkpoint,
      tables: config.tables.map(printRule),
      callbacks: config.callbacks.map(printCallback),
      state: config.state,
      ...printCompletions(config.completions),
      admin: {
        listen: formatHostAndPort(admin.listen),
        tokens: admin.tokens.map((token) => ({ ...token, token: MASK })),
        private_callbacks: admin.privateCallbacks,
      },
      shutdown_timeout: formatDuration(config.shutdownTimeoutMs),
      log_level: config.logLevel,
    },
    // An alias for a value that happens to be shared would only puzzle the reader.
    { aliasDuplicateObjects: false, lineWidth: 0 },
  );
}

function printCompletions(completions: Config['completions']): Record<string, unknown> {
  if (completions === null) return {};
  const { listen, publicUrl } = completions;
  return { completions: { listen: formatHostAndPort(listen), public_url: publicUrl } };
}

const masked = (secret: Secret | null): string | null => (secret === null ? null : MASK);

function printSource(source: SourceConfig): Record<string, unknown> {
  return withoutNull({
    ...printServers(source.servers),
    tls: withoutNull(source.tls),
    server_id: source.serverId,
    minimum_retention: formatDuration(source.minimumRetentionMs),
    require_full_image: source.requireFullImage,
    start: printTime(source.start),
    heartbeat: formatDuration(source.heartbeatMs),
  });
}

/** A time as it is written; everything else as it is. */
function printTime(start: SourceConfig['start'] | CallbackConfig['from']): unknown {
  return typeof start === 'object' && 'timestampMs' in start
    ? { timestamp: new Date(start.timestampMs).toISOString() }
    : start;
}

/** Part by part; several as URLs, since they can stand in no other way. */
function printServers(servers: SourceConfig['servers']): Record<string, unknown> {
  const [server] = servers;
  if (servers.length > 1 || server === undefined) return { urls: servers.map(printUrl) };
  const { host, port, socketPath, user, password } = server;
  return {
    host,
    port: socketPath === null ? port : null,
    socket: socketPath,
    user,
    password: masked(password),
  };
}

function printUrl({
  host,
  port,
  user,
  password,
}: Omit<SourceConfig['servers'][number], 'socketPath'>): string {
  const account = `${encodeURIComponent(user)}${password === null ? '' : `:${MASK}`}`;
  return `mysql://${account}@${formatHostAndPort({ host: host ?? '', port })}`;
}

function printLog(log: LogConfig): Record<string, unknown> {
  if (log.type === 'embedded') {
    return {
      type: log.type,
      path: log.path,
      retention: {
        age: formatDuration(log.retention.ageMs),
        size: formatSize(log.retention.sizeBytes),
      },
      max_size: formatSize(log.maxSizeBytes),
      topics: log.topics,
      ...printCommon(log),
    };
  }
  const { topics } = log;
  return withoutNull({
    type: log.type,
    brokers: log.brokers.map(formatHostAndPort),
    tls: withoutNull(log.tls),
    sasl: log.sasl === null ? null : { ...log.sasl, password: MASK },
    compression: log.compression,
    delivery: log.delivery,
    topics: {
      create: topics.create,
      partitions: topics.partitions,
      replication_factor: topics.replicationFactor,
      config: topics.config,
    },
    dead_letters: log.deadLetters,
    ...printCommon(log),
  });
}

function printCommon(log: LogConfig): Record<string, unknown> {
  const { oversize, claimCheck, transactions, schemaChanges } = log;
  return {
    oversize,
    claim_check: { path: claimCheck.path, over: formatSize(claimCheck.overBytes) },
    transactions,
    schema_changes: schemaChanges,
  };
}

function printRule(rule: TableRule): Record<string, unknown> {
  return withoutNull({
    match: rule.match,
    topic: rule.topic,
    key: rule.key,
    bigint: rule.bigint,
    ...(rule.outbox === null ? printForm(rule) : printOutbox(rule.outbox)),
    columns: printColumns(rule),
  });
}

function printForm(rule: TableRule): Record<string, unknown> {
  return {
    format: rule.format,
    values: rule.values,
    tombstones: rule.tombstones,
    truncate: rule.truncate,
  };
}

function printOutbox(outbox: NonNullable<TableRule['outbox']>): Record<string, unknown> {
  return {
    outbox: {
      id: outbox.id,
      aggregate_type: outbox.aggregateType,
      aggregate_id: outbox.aggregateId,
      type: outbox.type,
      payload: outbox.payload,
    },
  };
}

function printColumns(rule: TableRule): Record<string, unknown> | null {
  const list = (columns: readonly string[]): readonly string[] | null =>
    columns.length === 0 ? null : columns;
  const columns = withoutNull({
    include: rule.includeColumns,
    exclude: list(rule.excludeColumns),
    mask: list(rule.maskColumns),
    hash: rule.hashColumns === null ? null : { ...rule.hashColumns, key: MASK },
    truncate: filled(rule.truncateColumns),
    types: filled(rule.columnTypes),
  });
  return Object.keys(columns).length === 0 ? null : columns;
}

function filled<T extends object>(mapping: T): T | null {
  return Object.keys(mapping).length === 0 ? null : mapping;
}

/** One callback, as in the file. */
export function printCallback(callback: CallbackConfig): Record<string, unknown> {
  const { retry, lanes, from } = callback;
  return withoutNull({
    name: callback.name,
    tables: callback.tables.length === 0 ? null : callback.tables,
    operations: callback.operations,
    changed: callback.changed.length === 0 ? null : callback.changed,
    when: callback.when ?? null,
    payload: callback.payload ?? null,
    metadata: callback.metadata ?? null,
    from: printTime(from),
    deliver: printDeliver(callback.deliver),
    coalesce: callback.coalesceMs === undefined ? null : formatDuration(callback.coalesceMs),
    batch: callback.batch === undefined ? null : printBatch(callback.batch),
    concurrency: callback.concurrency,
    priority: callback.priority,
    rate_limit: printRateLimit(callback.rateLimit),
    retry: printRetry(retry),
    breaker: printBreaker(callback.breaker),
    on_exhausted: callback.onExhausted,
    fallback: callback.fallback ?? null,
    compensate: callback.compensate ?? null,
    on_settled: printOnSettled(callback.onSettled),
    lanes: { max_events: lanes.maxEvents, max_bytes: formatSize(lanes.maxBytes) },
  });
}

function printOnSettled(settled: CallbackConfig['onSettled']): Record<string, unknown> | null {
  if (settled === null) return null;
  const { server, tls, sql, statuses, timeoutMs, maxPending } = settled;
  const { database } = server;
  return {
    url: `${printUrl(server)}${database === null ? '' : `/${encodeURIComponent(database)}`}`,
    tls: withoutNull(tls),
    sql,
    statuses,
    timeout: formatDuration(timeoutMs),
    max_pending: maxPending,
  };
}

function printRateLimit(limit: CallbackConfig['rateLimit']): Record<string, unknown> | null {
  return limit === undefined ? null : { per_second: limit.perSecond, burst: limit.burst };
}

function printBreaker(breaker: CallbackConfig['breaker']): Record<string, unknown> {
  return {
    failure_ratio: breaker.failureRatio,
    minimum_keys: breaker.minimumKeys,
    window: formatDuration(breaker.windowMs),
    open_for: formatDuration(breaker.openForMs),
  };
}

type Batch = NonNullable<CallbackConfig['batch']>;

function printBatch({ maxEvents, maxWaitMs }: Batch): Record<string, unknown> {
  return { max_events: maxEvents, max_wait: formatDuration(maxWaitMs) };
}

function printRetry(retry: CallbackConfig['retry']): Record<string, unknown> {
  const waits =
    retry.scheduleMs.length > 0
      ? { schedule: retry.scheduleMs.map(formatDuration) }
      : {
          backoff: retry.backoff,
          initial_interval: formatDuration(retry.initialIntervalMs),
          backoff_coefficient: retry.backoffCoefficient,
          maximum_interval: formatDuration(retry.maximumIntervalMs),
        };
  return {
    ...waits,
    maximum_attempts: retry.maximumAttempts,
    expires_after: formatDuration(retry.expiresAfterMs),
    jitter: retry.jitter,
    non_retryable_statuses: retry.nonRetryableStatuses,
  };
}
