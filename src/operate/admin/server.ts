/** The address at which the process is watched (/metrics, /healthz, /readyz: open) and run (/v1: with a token). */

import { type FastifyInstance, fastify } from 'fastify';
import type { CaptureSnapshot } from '../../capture/capture.ts';
import type { SourceFit } from '../../capture/source-watch.ts';
import { RowcallError } from '../../errors.ts';
import type { MirrorSnapshot } from '../../deliver/dead-letters/mirror.ts';
import type { ChangeLog } from '../../log/change-log.ts';
import { abortable, aborted } from '../../shared/abort.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';
import type { Service } from '../../shared/service.ts';
import { VERSION } from '../../version.ts';
import { partitionEnds, type PartitionEnds } from '../observe/lag.ts';
import { metricsText } from '../observe/metrics.ts';
import { type Readiness, ReadinessWatch } from '../observe/readiness.ts';
import { registerApi } from './api.ts';
import { type ApiParts, fixedCallbacks } from './api-parts.ts';
import { notFound, sendError } from './problem.ts';
import { RunToken } from './run-token.ts';
import { Tokens } from './tokens.ts';
import { MAX_HEADER_BYTES, refuseUnreadable } from './unreadable.ts';

export interface AdminParts extends Pick<ApiParts, 'config' | 'state' | 'deliver' | 'replays'> {
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly log: ChangeLog;
  readonly capture: { snapshot(): CaptureSnapshot } | null;
  /** Absent: those of `config`, which nobody may change. */
  readonly callbacks?: ApiParts['callbacks'] | null;
  /** Who looks at the source's settings; absent where this process does not capture. */
  readonly source?: { snapshot(): SourceFit | null } | null;
  /** Absent where dead letters are not mirrored. */
  readonly mirror?: { snapshot(): readonly MirrorSnapshot[] } | null;
  /** Where commands of this machine find the token of this run; absent: nowhere. */
  readonly tokenFile?: string | null;
  /** Why this process waits for another one, for a person; null while it works. */
  readonly standby?: () => string | null;
}

const MAX_BODY_BYTES = 1024 * 1024;
/** Less than what a prober waits. */
const LOG_WAIT_MS = 2_000;
const LISTEN_ERRORS: ReadonlySet<string> = new Set([
  'EADDRINUSE',
  'EACCES',
  'EADDRNOTAVAIL',
  'ENOTFOUND',
]);

/**
 * Reads snapshots and nothing else, so that watching cannot disturb. What it serves is open by design: counts
 * and names, no event and no secret.
 */
export class AdminServer implements Service {
  readonly name = 'admin';
  readonly #parts: AdminParts;
  readonly #watch = new ReadinessWatch();
  #looking: Promise<PartitionEnds> | null = null;

  constructor(parts: AdminParts) {
    this.#parts = parts;
  }

  /** @throws RowcallError ADMIN_LISTEN */
  async run(signal: AbortSignal): Promise<void> {
    const { host, port, logger, tokenFile = null } = this.#parts;
    const own = tokenFile === null ? null : await RunToken.write(tokenFile);
    const server = await this.#build(own);
    try {
      const address = await listen(server, host, port);
      if (port === 0) await own?.tellAddress(address);
      logger.info({ address }, 'Metrics and health are served');
      await aborted(signal);
    } finally {
      await server.close();
      await own?.remove();
    }
  }

  async #build(own: RunToken | null): Promise<FastifyInstance> {
    // Connections that a scraper keeps open must not hold up a stop.
    const server = fastify({
      logger: false,
      routerOptions: { maxParamLength: 1_024 },
      bodyLimit: MAX_BODY_BYTES,
      http: { maxHeaderSize: MAX_HEADER_BYTES },
      clientErrorHandler: refuseUnreadable,
      forceCloseConnections: true,
      // A path that cannot be decoded is one that is not there.
      frameworkErrors: (_error, request, reply) => {
        notFound(request, reply);
      },
    });
    server.setNotFoundHandler(notFound);
    server.setErrorHandler((error, request, reply) =>
      sendError(error, request, reply, this.#parts.logger),
    );
    const { config } = this.#parts;
    await registerApi(server, {
      ...this.#parts,
      callbacks: this.#parts.callbacks ?? fixedCallbacks(config),
      version: VERSION,
      tokens: new Tokens(config.admin.tokens, own?.token ?? null),
      ends: () => this.#ends(),
    });
    server.get('/healthz', { schema: { hide: true } }, () => ({ status: 'alive' }));
    server.get('/readyz', { schema: { hide: true } }, async (_request, reply) => {
      const state = this.#readiness(await this.#ends());
      return reply.code(state.ready ? 200 : 503).send(state);
    });
    server.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
      const text = await this.#metrics();
      return reply.type('text/plain; version=0.0.4; charset=utf-8').send(text);
    });
    return server;
  }

  /** Null when the log does not answer in time: brokers may be away for hours, and a probe must not be. */
  async #ends(): Promise<PartitionEnds | null> {
    const { clock, log } = this.#parts;
    // One look at a time, however many ask meanwhile.
    this.#looking ??= partitionEnds(log).finally(() => {
      this.#looking = null;
    });
    const limit = new AbortController();
    const cancel = clock.timer(LOG_WAIT_MS, () => {
      limit.abort(new Error('The log does not answer'));
    });
    try {
      return await abortable(this.#looking, limit.signal);
    } catch (error) {
      // Unreachable is also a log that is being closed, since this process's turn is over.
      const away = error instanceof RowcallError && error.code === 'LOG_UNREACHABLE';
      if (away || error === limit.signal.reason) return null;
      throw error;
    } finally {
      cancel();
    }
  }

  #readiness(ends: PartitionEnds | null): Readiness {
    const { capture, deliver, mirror, clock } = this.#parts;
    const standby = this.#parts.standby?.() ?? null;
    const { reasons, warnings } = this.#watch.look({
      capture: capture?.snapshot() ?? null,
      deliver: standby === null ? (deliver?.snapshot() ?? null) : null,
      ends: ends ?? new Map(),
      mirror: mirror?.snapshot() ?? null,
      monotonicMs: clock.monotonic(),
    });
    const outside = [standby, ends === null ? 'the log does not answer' : null];
    const all = [...outside.filter((reason) => reason !== null), ...reasons];
    return { ready: all.length === 0, reasons: all, warnings };
  }

  async #metrics(): Promise<string> {
    const { capture, deliver, source, log, mirror, clock, state } = this.#parts;
    const ends = await this.#ends();
    const { user, system } = process.cpuUsage();
    return metricsText({
      capture: capture?.snapshot() ?? null,
      deliver: deliver?.snapshot() ?? null,
      source: source?.snapshot() ?? null,
      log: await log.usage(),
      ends: ends ?? new Map(),
      cursors: (await state?.cursors()) ?? [],
      mirror: mirror?.snapshot() ?? null,
      nextDueAt: await this.#nextDueAt(),
      nowMs: clock.now(),
      ready: this.#readiness(ends).ready,
      residentBytes: process.memoryUsage.rss(),
      cpuSeconds: (user + system) / 1e6,
    });
  }

  async #nextDueAt(): Promise<ReadonlyMap<string, number | null>> {
    const { deliver, state } = this.#parts;
    const names = deliver?.snapshot().callbacks.map(({ name }) => name) ?? [];
    if (state === null) return new Map();
    return new Map(
      await Promise.all(names.map(async (name) => [name, await state.nextDueAt(name)] as const)),
    );
  }
}

async function listen(server: FastifyInstance, host: string, port: number): Promise<string> {
  try {
    return await server.listen({ host, port });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!LISTEN_ERRORS.has(code)) throw error;
    throw new RowcallError('ADMIN_LISTEN', `Cannot listen: ${code}`, {
      place: `admin.listen ${host}:${port}`,
      cause: error,
    });
  }
}
