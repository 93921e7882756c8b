/** `Idempotency-Key`: a POST that is sent again, since its answer was lost, is answered as the first time and not done twice. */

import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { RowcallError } from '../../errors.ts';
import { ANSWER_PENDING, type KeptAnswer } from '../../state/callback-store.ts';
import type { ApiParts } from './api-parts.ts';
import type { ApiServer } from './api.ts';
import type { Caller } from './tokens.ts';

const KEPT_MS = 24 * 60 * 60 * 1000;
const MAX_KEY = 255;
const UNFORESEEN = 500;
/** Headers that belong to the answer, not to its transport. */
const KEPT_HEADERS = ['content-type', 'etag', 'location'] as const;

declare module 'fastify' {
  interface FastifyRequest {
    /** What this request's answer is kept under; null where it is not. */
    keptUnder: { readonly key: string; readonly request: string } | null;
  }
}

/**
 * Keys are each token's own. Invariant: of two requests with one key the second is answered once the first one is, or
 * refused. Only what succeeded is kept: whatever was refused has changed nothing, and may be asked again. That a request
 * is begun is durable before it changes anything: one that a crash cut may have been done, and is not done once more.
 */
export function keepAnswers(api: ApiServer, { state, clock }: ApiParts): void {
  const underWay = new Set<string>();
  api.decorateRequest('keptUnder', null);
  if (state === null) return;
  api.addHook('preHandler', async (request, reply) => {
    const given = request.headers['idempotency-key'];
    if (request.method !== 'POST' || given === undefined) return;
    const key = `${spaceOf(request.caller)} ${keyOf(given)}`;
    const asked = digestOf(request);
    const kept = await state.keptAnswer(key, clock.now() - KEPT_MS);
    if (kept === null || isRefusal(kept) || underWay.has(key)) {
      if (underWay.has(key)) {
        throw new RowcallError(
          'IDEMPOTENCY_KEY_BUSY',
          'The first request with this key is not answered yet',
        );
      }
      underWay.add(key);
      request.keptUnder = { key, request: asked };
      await keep(request.keptUnder, { status: ANSWER_PENDING, headers: '{}', body: '' });
      return;
    }
    if (kept.request !== asked) {
      throw new RowcallError('IDEMPOTENCY_KEY_REUSED', 'Another request was made with this key');
    }
    if (kept.status === ANSWER_PENDING) {
      throw new RowcallError(
        'IDEMPOTENCY_KEY_CUT_OFF',
        'The first request with this key was cut off: whether it was done is not known',
      );
    }
    await reply
      .code(kept.status)
      .headers(JSON.parse(kept.headers) as Record<string, string>)
      .header('idempotent-replayed', 'true')
      .serializer((text: unknown) => String(text))
      .send(kept.body);
  });
  api.addHook('onSend', async (request, reply, payload) => {
    const { keptUnder } = request;
    if (keptUnder === null) return;
    // Where it cannot be kept, what is answered then is another answer.
    request.keptUnder = null;
    try {
      // What nobody foresaw may have come after the change.
      if (reply.statusCode === UNFORESEEN) return;
      const body = typeof payload === 'string' ? withoutSecret(payload) : '';
      await keep(keptUnder, { status: reply.statusCode, headers: headersOf(reply), body });
    } finally {
      underWay.delete(keptUnder.key);
    }
  });

  async function keep(
    { key, request }: NonNullable<FastifyRequest['keptUnder']>,
    answer: Omit<KeptAnswer, 'request'>,
  ): Promise<void> {
    const now = clock.now();
    await state?.keepAnswer(key, { request, ...answer }, now, now - KEPT_MS);
  }
}

/** By token: tokens may share a name. */
function spaceOf(caller: Caller | null): string {
  return caller === null ? '' : `${caller.name} ${caller.id}`;
}

/** A secret that was made is shown once: a store of answers would be a second place that has it, in clear. */
function withoutSecret(body: string): string {
  if (!body.includes('"secret"')) return body;
  const { secret, ...others } = JSON.parse(body) as { readonly secret?: unknown };
  return secret === undefined ? body : JSON.stringify({ ...others, secret_withheld: true });
}

function isRefusal({ status }: KeptAnswer): boolean {
  return status >= 300;
}

function headersOf(reply: FastifyReply): string {
  const headers = KEPT_HEADERS.flatMap((name) => {
    const value = reply.getHeader(name);
    return value === undefined ? [] : [[name, String(value)]];
  });
  return JSON.stringify(Object.fromEntries(headers));
}

/** @throws RowcallError API_REQUEST_INVALID */
function keyOf(given: string | string[]): string {
  if (typeof given === 'string' && given !== '' && given.length <= MAX_KEY) return given;
  throw new RowcallError('API_REQUEST_INVALID', `Idempotency-Key has 1 to ${MAX_KEY} characters`, {
    place: 'headers/idempotency-key',
  });
}

function digestOf({ method, url, body }: FastifyRequest): string {
  const text = JSON.stringify([method, url, body ?? null]);
  return createHash('sha256').update(text).digest('hex');
}
