/** Errors of the API: problems after RFC 9457, with the code, the place and the cure of the one table. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  isResponseSerializationError,
} from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ErrorRow } from '../../error-row.ts';
import { ERRORS } from '../../error-table.ts';
import { RowcallError } from '../../errors.ts';
import type { Logger } from '../../shared/logger.ts';

export const problemSchema = z
  .object({
    type: z.string().describe('about:blank: the code says which problem it is.'),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    code: z.string().optional().describe('Of docs/ERRORS.md.'),
    place: z.string().optional().describe('Where: a field of the request, a lane, a partition.'),
    cure: z.string().optional().describe('What to do about it.'),
  })
  .meta({ id: 'Problem', description: 'RFC 9457' });

export type Problem = Omit<z.output<typeof problemSchema>, 'type'>;

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  // RFC 6750: what would be taken.
  if (problem.status === 401) void reply.header('www-authenticate', 'Bearer realm="rowcall"');
  return reply
    .code(problem.status)
    .type('application/problem+json')
    .serializer((body: unknown) => JSON.stringify(body))
    .send({ type: 'about:blank', ...problem });
}

export function notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.split('?', 1)[0] ?? '';
  return sendProblem(reply, {
    status: 404,
    title: 'Not found',
    detail: `No ${request.method} ${path}`,
  });
}

/** What a handler threw: ours with all it says, the request's own faults, and all else hidden. */
export function sendError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  logger: Logger,
): FastifyReply {
  if (hasZodFastifySchemaValidationErrors(error)) return sendProblem(reply, invalid(error));
  const known = error instanceof RowcallError ? problemOf(error) : null;
  if (known !== null && known.status < 500) return sendProblem(reply, known);
  if (isFrameworkError(error)) {
    const { statusCode: status, message } = error;
    return sendProblem(reply, { ...invalidRow(), status, detail: message });
  }
  const failure = error instanceof Error ? error.message : String(error);
  const cause = isResponseSerializationError(error) ? error.cause.issues : undefined;
  logger.error(
    { failure, cause, route: request.routeOptions.url },
    'A request to the admin address failed',
  );
  if (known !== null && known.status !== 500) return sendProblem(reply, known);
  return sendProblem(reply, { status: 500, title: 'Failed', detail: 'See the log of the process' });
}

export function problemOf(error: RowcallError): Problem {
  const { code, message, place, cure } = error;
  const row: ErrorRow = ERRORS[code];
  const status = row.http ?? 500;
  const title = TITLES.get(status) ?? 'Failed';
  return { status, title, detail: message, code, cure, ...(place === undefined ? {} : { place }) };
}

const TITLES: ReadonlyMap<number, string> = new Map([
  [400, 'Bad request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'Not found'],
  [409, 'Conflict'],
  [412, 'Precondition failed'],
  [422, 'Unprocessable content'],
  [503, 'Unavailable'],
]);

function invalidRow(): Problem {
  return problemOf(new RowcallError('API_REQUEST_INVALID', 'The request is not valid'));
}

function invalid(error: {
  readonly validation: readonly { readonly instancePath: string; readonly message?: string }[];
  readonly validationContext?: string;
}): Problem {
  const faults = error.validation.map(({ instancePath, message }) => ({
    place: `${error.validationContext ?? ''}${instancePath}`,
    message: message ?? 'is not valid',
  }));
  return {
    ...invalidRow(),
    detail: faults.map(({ place, message }) => `${place}: ${message}`).join('; '),
    place: faults.map(({ place }) => place).join(', '),
  };
}

/** Of Fastify itself: a body too large, or no JSON. Its texts name nothing of ours. */
function isFrameworkError(error: unknown): error is Error & { readonly statusCode: number } {
  if (!(error instanceof Error) || !('code' in error) || !('statusCode' in error)) return false;
  const { code, statusCode } = error;
  return String(code).startsWith('FST_') && typeof statusCode === 'number' && statusCode < 500;
}
