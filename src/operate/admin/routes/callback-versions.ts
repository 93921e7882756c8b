/** `/v1/callbacks/{name}/versions`: what a callback was, what changed, and back. */

import { z } from 'zod';
import { secretsOf, withSecrets, type Written } from '../../../config/callback-form.ts';
import { section } from '../../../config/written.ts';
import { RowcallError } from '../../../errors.ts';
import type { CallbackVersion } from '../../../state/callback-store.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, requireState } from '../api-parts.ts';
import { isoOf, problems, timestamp, wholeNumber } from '../schemas.ts';
import { answer, askedOf, changeable, expectedVersion, ifMatch } from './callback-changes.ts';
import { callbackName, callbackSchema } from './callbacks.ts';

export const versionSchema = z
  .object({
    version: z.int(),
    at: timestamp,
    actor: z.string().describe('token:NAME, or file.'),
    reason: z.string(),
    config: z.record(z.string(), z.unknown()).describe('Secrets stand as ***.'),
  })
  .meta({ id: 'CallbackVersion' });

export const differenceSchema = z
  .object({
    path: z.string().describe('deliver.url; secrets where nothing else than a secret differs.'),
    from: z.unknown().describe('Absent where it was not there.'),
    to: z.unknown().describe('Absent where it is not there.'),
  })
  .meta({ id: 'Difference' });

const versionNumber = wholeNumber({ min: 1 });

export function routeCallbackVersions(api: ApiServer, parts: ApiParts): void {
  const common = { tags: ['callbacks'], params: callbackName };
  api.get(
    '/callbacks/:name/versions',
    {
      config: { role: 'viewer' },
      schema: {
        ...common,
        operationId: 'listVersions',
        summary: 'What the callback was, the newest first; at least the last ten',
        response: { 200: z.object({ items: z.array(versionSchema) }), ...problems },
      },
    },
    async ({ params: { name } }) => ({ items: (await versionsOf(name, parts)).map(versionItem) }),
  );
  api.get(
    '/callbacks/:name/diff',
    {
      config: { role: 'viewer' },
      schema: {
        ...common,
        operationId: 'diffVersions',
        summary: 'What differs between two versions',
        querystring: z.object({ from: versionNumber, to: versionNumber }),
        response: { 200: z.object({ items: z.array(differenceSchema) }), ...problems },
      },
    },
    async ({ params: { name }, query }) => {
      const versions = await versionsOf(name, parts);
      const [from, to] = [query.from, query.to].map((one) => pick(name, versions, one));
      return { items: from === undefined || to === undefined ? [] : differences(from, to) };
    },
  );
  api.post(
    '/callbacks/:name/rollback',
    {
      config: { role: 'admin' },
      schema: {
        ...common,
        operationId: 'rollbackCallback',
        summary: 'Make an earlier version the newest; secrets stay as they are now',
        querystring: z.object({
          version: versionNumber,
          reason: z.string().max(1_000).optional().describe('Why.'),
        }),
        headers: ifMatch,
        response: { 200: callbackSchema, ...problems },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const before = await changeable(name, parts);
      const { written } = pick(name, await versionsOf(name, parts), request.query.version);
      if (written === null) {
        throw new RowcallError('CALLBACK_READ_ONLY', 'It stood in the file, or was removed since', {
          cure: 'Write it in the file, or change the callback.',
        });
      }
      const old = JSON.parse(written) as Written;
      const make = (now: Written | null): Written => {
        const secrets = secretsOf(now);
        return secrets.length === 0 ? old : withSecrets(old, secrets);
      };
      const expected = expectedVersion(request) ?? before.version;
      const live = await parts.callbacks.put({ name, make }, expected, askedOf(request, parts));
      return answer(reply, live, parts);
    },
  );
}

/** @throws RowcallError CALLBACK_UNKNOWN */
async function versionsOf(name: string, parts: ApiParts): Promise<readonly CallbackVersion[]> {
  const versions = await requireState(parts).callbackVersions(name);
  if (versions.length > 0) return versions;
  throw new RowcallError(
    'CALLBACK_UNKNOWN',
    `No version of a callback ${JSON.stringify(name)} is known`,
  );
}

/** @throws RowcallError VERSION_UNKNOWN */
function pick(
  name: string,
  versions: readonly CallbackVersion[],
  version: number,
): CallbackVersion {
  const found = versions.find((one) => one.version === version);
  if (found !== undefined) return found;
  throw new RowcallError('VERSION_UNKNOWN', `${name} has no version ${version}, or has it no more`);
}

function versionItem(one: CallbackVersion): z.output<typeof versionSchema> {
  const { version, atMs, actor, reason } = one;
  return { version, at: isoOf(atMs), actor, reason, config: shownOf(one) };
}

function shownOf({ shown }: CallbackVersion): Record<string, unknown> {
  return { ...section(JSON.parse(shown)) };
}

function differences(
  from: CallbackVersion,
  to: CallbackVersion,
): z.output<typeof differenceSchema>[] {
  const found = compare(shownOf(from), shownOf(to), '');
  if (found.length > 0 || from.digest === to.digest) return found;
  return [{ path: 'secrets', from: '***', to: '***' }];
}

/** Leaf by leaf; a list is one. */
function compare(from: unknown, to: unknown, path: string): z.output<typeof differenceSchema>[] {
  if (isSection(from) && isSection(to)) {
    const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])];
    return keys.flatMap((key) => compare(from[key], to[key], path === '' ? key : `${path}.${key}`));
  }
  return JSON.stringify(from) === JSON.stringify(to) ? [] : [{ path, from, to }];
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
