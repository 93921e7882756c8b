/** The address at which receivers tell the end of events that they answered with 202. */

import { type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import type { Taken } from '../../deliver/completion/completion-desk.ts';
import { RowcallError } from '../../errors.ts';
import { aborted } from '../../shared/abort.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';
import type { Service } from '../../shared/service.ts';
import type { Completion } from '../../state/completion.ts';
import { notFound, problemOf, sendError, sendProblem } from '../admin/problem.ts';
import { completionMessage } from './completion-message.ts';
import { RequestBound } from './request-bound.ts';

export interface CompletionsParts {
  readonly host: string;
  readonly port: number;
  readonly desk: { complete(token: string, completion: Completion): Promise<Taken> };
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where it listens, once it does. */
  readonly onListening?: (address: string) => void;
}

const MAX_BODY_BYTES = 64 * 1024;
const MAX_CONNECTIONS = 1_024;
/** A slow sender of a body this small is an attack or a fault. */
const REQUEST_MS = 30_000;
/** Longer than any token that we make. */
const MAX_TOKEN_CHARACTERS = 8_192;
const MAX_PER_SECOND = 5_000;
const MAX_AT_ONCE = 512;
const LISTEN_ERRORS: ReadonlySet<string> = new Set([
  'EADDRINUSE',
  'EACCES',
  'EADDRNOTAVAIL',
  'ENOTFOUND',
]);

/**
 * Open to whoever holds a completion URL, which is its own permission: it ends one attempt. Invariant: 200 is answered
 * only for what is durable. Body, connections, requests at once and per second are bounded; beyond that it answers 429
 * or 503, which a receiver repeats.
 */
export class CompletionsServer implements Service {
  readonly name = 'completions';
  readonly #parts: CompletionsParts;
  readonly #bound: RequestBound;

  constructor(parts: CompletionsParts) {
    this.#parts = parts;
    this.#bound = new RequestBound({ perSecond: MAX_PER_SECOND, atOnce: MAX_AT_ONCE }, parts.clock);
  }

  /** @throws RowcallError COMPLETIONS_LISTEN */
  async run(signal: AbortSignal): Promise<void> {
    const { host, port, logger, onListening } = this.#parts;
    const server = this.#build();
    try {
      const address = await listen(server, host, port);
      logger.info({ address }, 'Completions are taken');
      onListening?.(address);
      await aborted(signal);
    } finally {
      await server.close();
    }
  }

  #build(): FastifyInstance {
    const { desk, logger } = this.#parts;
    const server = fastify({
      logger: false,
      routerOptions: { maxParamLength: MAX_TOKEN_CHARACTERS },
      bodyLimit: MAX_BODY_BYTES,
      forceCloseConnections: true,
      requestTimeout: REQUEST_MS,
      // A path that cannot be decoded is one that is not there.
      frameworkErrors: (_error, request, reply) => {
        notFound(request, reply);
      },
    });
    server.server.maxConnections = MAX_CONNECTIONS;
    server.setNotFoundHandler(notFound);
    server.setErrorHandler((error, request, reply) =>
      error instanceof RowcallError && error.code === 'COMPLETIONS_CLOSED'
        ? sendProblem(reply.header('retry-after', '1'), problemOf(error))
        : sendError(error, request, reply, logger),
    );
    // The body is read by us, whatever it is said to be.
    server.removeAllContentTypeParsers();
    server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
      done(null, body);
    });
    server.post<{ Params: { token: string } }>('/completions/:token', async (request, reply) => {
      const enter = this.#bound.enter();
      if (enter !== 'room') return busy(reply, enter);
      try {
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        const completion = completionMessage(body);
        return answerOf(await desk.complete(request.params.token, completion));
      } finally {
        this.#bound.leave();
      }
    });
    return server;
  }
}

function answerOf({ attempt, repeated, metadata }: Taken): object {
  const { callback, eventId, attempt: number } = attempt;
  const status = repeated ? 'repeated' : 'taken';
  return { status, callback, event: eventId, attempt: number, metadata };
}

function busy(reply: FastifyReply, why: 'too often' | 'too many'): FastifyReply {
  const [status, title] =
    why === 'too often' ? ([429, 'Too many requests'] as const) : ([503, 'Unavailable'] as const);
  return sendProblem(reply.header('retry-after', '1'), {
    ...{ status, title, detail: 'More completions come at once than are taken' },
  });
}

async function listen(server: FastifyInstance, host: string, port: number): Promise<string> {
  try {
    return await server.listen({ host, port });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!LISTEN_ERRORS.has(code)) throw error;
    throw new RowcallError('COMPLETIONS_LISTEN', `Cannot listen: ${code}`, {
      place: `completions.listen ${host}:${port}`,
      cause: error,
    });
  }
}
