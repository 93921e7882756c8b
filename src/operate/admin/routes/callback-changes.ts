/** `/v1/callbacks`: how a callback is made, changed, tried and removed through the API. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  mergePatch,
  newSecret,
  secretsOf,
  withSecrets,
  type Written,
} from '../../../config/callback-form.ts';
import { registeredJsonSchema } from '../../../config/registered.ts';
import { section } from '../../../config/written.ts';
import { RowcallError } from '../../../errors.ts';
import type { Asked } from '../../../state/state-store.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, askedBy, type ListedCallback } from '../api-parts.ts';
import { problems } from '../schemas.ts';
import { callbackName, callbackSchema, etagOf, findCallback } from './callbacks.ts';

/** Checked by the configuration's own schema, whose errors say more: here it only describes what may be sent. */
export const writtenBody = z
  .record(z.string(), z.unknown())
  .describe('As in the YAML (docs/CONFIG.md, docs/CHANGING.md); not module, tls, proxy, ${}.')
  .meta({ ...registeredJsonSchema() });

const patchBody = z
  .record(z.string(), z.unknown())
  .describe('Parts of a callback as in the YAML, by RFC 7396: null removes.');

export const reasonQuery = z.object({
  reason: z.string().max(1_000).optional().describe('Why; for the audit log and the versions.'),
});

export const madeSchema = callbackSchema.extend({
  secret: z
    .string()
    .optional()
    .describe('The secret that was made for it: shown this once, and never again.'),
  secret_withheld: z
    .literal(true)
    .optional()
    .describe(
      'Of a repeated request (Idempotency-Key): a secret was made, and is not shown again.',
    ),
});

export function routeCallbackChanges(api: ApiServer, parts: ApiParts): void {
  routeRegister(api, parts);
  routeReplace(api, parts);
  routeRotate(api, parts);
}

function routeRegister(api: ApiServer, parts: ApiParts): void {
  api.post(
    '/callbacks',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'registerCallback',
        tags: ['callbacks'],
        summary: 'Make a callback; one that has no secrets gets one',
        querystring: reasonQuery,
        body: writtenBody,
        response: { 201: madeSchema, ...problems },
      },
    },
    async (request, reply) => {
      const { written, secret } = withOwnSecret(request.body);
      const change = { name: nameOf(written), make: () => written };
      const live = await parts.callbacks.put(change, null, askedOf(request, parts));
      void reply.header('location', `/v1/callbacks/${live.config.name}`);
      return answer(reply.code(201), live, parts, secret);
    },
  );
}

function routeReplace(api: ApiServer, parts: ApiParts): void {
  for (const [method, operationId, summary] of [
    ['PUT', 'putCallback', 'Replace a callback, or make it; secrets that are not given stay'],
    ['PATCH', 'patchCallback', 'Change parts of a callback (RFC 7396: null removes)'],
  ] as const) {
    api.route({
      method,
      url: '/callbacks/:name',
      config: { role: 'admin' },
      schema: {
        ...{ operationId, summary, tags: ['callbacks'] },
        params: callbackName,
        querystring: reasonQuery,
        headers: ifMatch,
        body: method === 'PATCH' ? patchBody : writtenBody,
        response: { 200: madeSchema, ...problems },
      },
      handler: async (request, reply) => {
        const { name } = request.params;
        const there = parts.callbacks.get(name);
        if (there?.origin !== 'api' && (method === 'PATCH' || there !== undefined)) {
          // Says which: unknown, orphaned, or of the file.
          await findCallback(name, parts);
          throw notMadeHere(name, there !== undefined);
        }
        let secret: string | undefined;
        const make = (before: Written | null): Written => {
          if (method === 'PATCH' && before === null) throw gone(name);
          const body = method === 'PATCH' ? mergePatch(before, request.body) : request.body;
          const kept = keptSecrets(sameName(section(body), name), before);
          ({ secret } = kept);
          return kept.written;
        };
        const expected = expectedVersion(request);
        const live = await parts.callbacks.put({ name, make }, expected, askedOf(request, parts));
        return answer(reply, live, parts, secret);
      },
    });
  }
}

function routeRotate(api: ApiServer, parts: ApiParts): void {
  api.post(
    '/callbacks/:name/rotate-secret',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'rotateSecret',
        tags: ['callbacks'],
        summary:
          'Sign with a new secret and the newest of before; or, with retire, with the newest alone',
        params: callbackName,
        querystring: reasonQuery.extend({
          retire: z
            .enum(['true', 'false'])
            .default('false')
            .describe('Make none: drop the old one.'),
          drop_older: z
            .enum(['true', 'false'])
            .default('false')
            .describe('Also where the one before is not retired yet: it does not sign any more.'),
        }),
        headers: ifMatch,
        response: { 200: madeSchema, ...problems },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const { version } = await changeable(name, parts);
      const retire = request.query.retire === 'true';
      const secret = retire ? undefined : newSecret();
      const make = (before: Written | null): Written => {
        if (before === null) throw gone(name);
        const [newest, ...older] = secretsOf(before);
        const drops = retire || request.query.drop_older === 'true';
        if (older.length > 0 && !drops) throw notRetired(name);
        return withSecrets(
          before,
          [secret, newest].filter((one) => one !== undefined),
        );
      };
      const expected = expectedVersion(request) ?? version;
      const live = await parts.callbacks.put({ name, make }, expected, askedOf(request, parts));
      return answer(reply, live, parts, secret);
    },
  );
}

export const ifMatch = z.object({
  'if-match': z
    .string()
    .optional()
    .describe('The ETag that the callback has, so that no change of another is lost.'),
});

/** What no callback is at: versions count from 1. */
const NO_VERSION = -1;

/** The version that must stand there, or that some version must (`*`); undefined: any or none. */
export function expectedVersion(request: {
  readonly headers: z.output<typeof ifMatch>;
}): number | '*' | undefined {
  const tag = request.headers['if-match'];
  if (tag === undefined || tag === '*') return tag;
  // Any other tag is none that we gave: no callback has it.
  return /^"[0-9]{1,15}"$/.test(tag) ? Number(tag.slice(1, -1)) : NO_VERSION;
}

/** @throws RowcallError CALLBACK_UNKNOWN, CALLBACK_READ_ONLY */
export async function changeable(
  name: string,
  parts: ApiParts,
): Promise<ListedCallback & { readonly written: Written }> {
  const there = parts.callbacks.get(name);
  if (there?.written !== null && there?.written !== undefined) {
    return { ...there, written: there.written };
  }
  await findCallback(name, parts);
  throw notMadeHere(name, there !== undefined);
}

/** It was removed while it was being changed. */
function gone(name: string): RowcallError {
  return new RowcallError('CALLBACK_CHANGED', `The callback ${name} was removed meanwhile`);
}

function notRetired(name: string): RowcallError {
  const text = `${name} signs with its newest secret and with the one before, which receivers may hold alone`;
  return new RowcallError('SECRET_NOT_RETIRED', text);
}

/** Empty where it has none, which the check of the whole says. */
function nameOf({ name }: Written): string {
  return typeof name === 'string' ? name : '';
}

/** Of the file, or of nobody any more. */
function notMadeHere(name: string, configured: boolean): RowcallError {
  return configured
    ? new RowcallError('CALLBACK_READ_ONLY', `The callback ${name} was not made here`)
    : new RowcallError('CALLBACK_READ_ONLY', `The callback ${name} is not configured any more`, {
        cure: 'Configure it again, in the file or whole by PUT, and it goes on from where it stood; or remove it (DELETE).',
      });
}

export function askedOf(
  request: Pick<FastifyRequest, 'caller'> & {
    readonly query: { readonly reason?: string | undefined };
  },
  parts: ApiParts,
): Asked {
  return askedBy(request.caller, request.query.reason ?? '', parts);
}

export async function answer(
  reply: FastifyReply,
  live: ListedCallback,
  parts: ApiParts,
  secret?: string,
): Promise<FastifyReply> {
  const found = await findCallback(live.config.name, parts);
  const shown = secret === undefined ? found : { ...found, secret };
  return reply.header('etag', etagOf(live.version)).send(shown);
}

function sameName(written: Written, name: string): Written {
  const { name: given = name } = written;
  if (given === name) return { name, ...written };
  throw new RowcallError('CALLBACK_INVALID', 'name: is another one than that of the path', {
    cure: 'A new name is a new callback: make it, and remove the other.',
  });
}

/** Standard Webhooks are signed; who gives no secret gets one. */
export function withOwnSecret(written: Written): {
  readonly written: Written;
  readonly secret?: string;
} {
  const deliver = section(written['deliver']);
  const signs = (deliver['format'] ?? 'standard-webhooks') === 'standard-webhooks';
  if (!signs || deliver['url'] === undefined || deliver['secrets'] !== undefined) {
    return { written };
  }
  const secret = newSecret();
  return { written: withSecrets(written, [secret]), secret };
}

/** Nobody can read secrets here, so that nobody can be asked to send them again. */
function keptSecrets(
  written: Written,
  before: Written | null,
): { readonly written: Written; readonly secret?: string } {
  const secrets = secretsOf(before);
  const given = section(written['deliver'])['secrets'] !== undefined;
  if (given || secrets.length === 0) return withOwnSecret(written);
  return { written: withSecrets(written, secrets) };
}
