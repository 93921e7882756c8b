/** The API under /v1: who may ask, what is asked for, and its description as OpenAPI 3.1. */

import swagger from '@fastify/swagger';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { RowcallError } from '../../errors.ts';
import type { ApiParts } from './api-parts.ts';
import { routeAudit } from './routes/audit.ts';
import { routeCallbacks } from './routes/callbacks.ts';
import { routeCallbackChanges } from './routes/callback-changes.ts';
import { routeCallbackRemoval } from './routes/callback-removal.ts';
import { routeCallbackTrials } from './routes/callback-trials.ts';
import { routeCallbackVersions } from './routes/callback-versions.ts';
import { routeCompletions } from './routes/completions.ts';
import { routeDeadLetters } from './routes/dead-letters.ts';
import { routeEvents } from './routes/events.ts';
import { routeLanes } from './routes/lanes.ts';
import { routeSettlements } from './routes/settlements.ts';
import { routeLedger } from './routes/ledger.ts';
import { routeReplays } from './routes/replays.ts';
import { routeReplayStart } from './routes/replay-start.ts';
import { routeResends } from './routes/resends.ts';
import { routeStatus } from './routes/status.ts';
import { routeTail } from './routes/tail.ts';
import { keepAnswers } from './idempotency.ts';
import { sendProblem } from './problem.ts';
import { USER_HEADER } from './run-token.ts';
import { type Caller, mayActAs, type Role } from './tokens.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The least role that may ask this. A route under /v1 without one is for admins. */
    role?: Role;
  }
  interface FastifyRequest {
    /** Who asks; null on open routes. */
    caller: Caller | null;
    /** The body as it came, of JSON. */
    bodyText: string;
  }
}

const MAX_USER = 256;
const UNNAMED = 'unnamed';

/** Fastify with routes whose types come from their zod schemas. */
export type ApiServer = ReturnType<typeof withZod>;

function withZod(server: FastifyInstance) {
  return server.withTypeProvider<ZodTypeProvider>();
}

export async function registerApi(server: FastifyInstance, parts: ApiParts): Promise<void> {
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  server.decorateRequest('caller', null);
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Rowcall admin API',
        description: 'What runs, how far it is, and what waits for a person.',
        version: parts.version,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
      tags: [
        { name: 'status', description: 'Where capture and each callback stand.' },
        { name: 'callbacks', description: 'Who is called back, and how that goes.' },
        { name: 'lanes', description: 'Keys whose first event failed.' },
        { name: 'dead-letters', description: 'Events that were given up.' },
        { name: 'settlements', description: 'Statements of on_settled that have not run.' },
        { name: 'replays', description: 'Events that a callback gets once more.' },
        { name: 'events', description: 'Events of the log, and what became of them.' },
        { name: 'audit', description: 'Who did what, and why.' },
      ],
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  server.get('/openapi.json', { schema: { hide: true } }, () => server.swagger());
  await server.register(
    (plain, _options, done) => {
      const api = withZod(plain);
      api.addHook('onRequest', (request, _reply, next) => {
        request.caller = admit(request, parts);
        next();
      });
      keepText(api);
      keepAnswers(api, parts);
      const methods = listMethods(api);
      routeStatus(api, parts);
      routeLedger(api, parts);
      routeCallbacks(api, parts);
      routeCallbackChanges(api, parts);
      routeCallbackRemoval(api, parts);
      routeCallbackVersions(api, parts);
      routeCallbackTrials(api, parts);
      routeLanes(api, parts);
      routeDeadLetters(api, parts);
      routeResends(api, parts);
      routeReplayStart(api, parts);
      routeReplays(api, parts);
      routeEvents(api, parts);
      routeTail(api, parts);
      routeCompletions(api, parts);
      routeAudit(api, parts);
      routeSettlements(api, parts);
      refuseOtherMethods(api, methods);
      done();
    },
    { prefix: '/v1' },
  );
}

/** The text of a body, beside what is read of it. */
function keepText(api: ApiServer): void {
  const parse = api.getDefaultJsonParser('error', 'error');
  api.decorateRequest('bodyText', '');
  api.addContentTypeParser<string>(
    'application/json',
    { parseAs: 'string' },
    (request, text, done) => {
      request.bodyText = text;
      // Clients name the type of every request: of one without a body as well.
      if (text === '') {
        done(null, undefined);
        return;
      }
      return parse(request, text, done);
    },
  );
}

/** The methods of each path, as its routes are added. */
function listMethods(api: ApiServer): ReadonlyMap<string, Set<string>> {
  const methods = new Map<string, Set<string>>();
  api.addHook('onRoute', ({ routePath, method }) => {
    const known = methods.get(routePath) ?? new Set();
    for (const one of [method].flat()) known.add(one);
    methods.set(routePath, known);
  });
  return methods;
}

/** RFC 9110: a path that is there, asked in a way that it is not. Answered before any body is read. */
function refuseOtherMethods(api: ApiServer, methods: ReadonlyMap<string, Set<string>>): void {
  for (const [url, known] of [...methods]) {
    const allow = [...known].sort().join(', ');
    const others = api.supportedMethods.filter((method) => !known.has(method));
    api.route({
      method: others,
      url,
      schema: { hide: true },
      config: { role: 'viewer' },
      onRequest: async (_request, reply) => {
        await sendProblem(reply.header('allow', allow), {
          ...{ status: 405, title: 'Method not allowed', detail: `This path takes ${allow}` },
        });
      },
      handler: () => undefined,
    });
  }
}

/** @throws RowcallError API_CLOSED, API_UNAUTHENTICATED, API_FORBIDDEN */
function admit(request: FastifyRequest, { tokens }: ApiParts): Caller {
  const caller = tokens.find(request.headers.authorization);
  if (caller === null) {
    if (tokens.isEmpty) throw new RowcallError('API_CLOSED', 'No token may use the admin API');
    throw new RowcallError('API_UNAUTHENTICATED', 'The request bears no token that is known here');
  }
  const needed = request.routeOptions.config.role ?? 'admin';
  if (!mayActAs(caller, needed)) {
    throw new RowcallError(
      'API_FORBIDDEN',
      `The token ${caller.name} has the role ${caller.role}; this takes ${needed}`,
    );
  }
  if (caller.local !== true) return caller;
  return { ...caller, name: `cli:${userOf(request.headers[USER_HEADER])}` };
}

/** Who can read the token of the run is this user or root, and may say what it likes in the audit log. */
function userOf(header: string | string[] | undefined): string {
  if (typeof header !== 'string' || header.length > MAX_USER) return UNNAMED;
  try {
    return decodeURIComponent(header);
  } catch {
    // Not one of our commands, but one with the right to ask all the same.
    return UNNAMED;
  }
}
