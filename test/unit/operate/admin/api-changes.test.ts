/** What of the API's description changed against the one that is kept, config/openapi.json. */

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type ApiDescription, breakingChanges } from '../../../support/api-changes.ts';
import { openAdmin } from '../../../support/admin-api.ts';

const KEPT = new URL('../../../../config/openapi.json', import.meta.url);

it('the API breaks no client of the description that is kept, and that is the newest one', async () => {
  const scene = await openAdmin();
  const { body } = await scene.ask('/openapi.json', { role: null });
  await scene.close();
  const kept = JSON.parse(readFileSync(KEPT, 'utf8')) as ApiDescription;
  // Soft: a description that breaks clients on purpose is written, too.
  expect
    .soft(
      breakingChanges(kept, body as ApiDescription),
      'Name these under Breaking in CHANGELOG.md',
    )
    .toEqual([]);
  // Written anew by `vitest run -u` of this file.
  await expect(`${JSON.stringify(body, null, 1)}\n`).toMatchFileSnapshot(KEPT.pathname);
});

const OLD = {
  components: { schemas: { Lane: { type: 'object', required: ['id'], properties: { id: {} } } } },
  paths: {
    '/v1/lanes/{id}': {
      get: { responses: { 200: { schema: { $ref: '#/components/schemas/Lane' } } } },
    },
    '/v1/lanes': {
      get: {
        parameters: [{ name: 'limit', in: 'query', schema: { type: 'integer' } }],
        responses: { 200: { schema: { type: 'object', properties: { id: {}, state: {} } } } },
      },
      post: {
        requestBody: { schema: { type: 'object', required: ['a'], properties: { a: {}, b: {} } } },
      },
    },
  },
};

it.each<[string, (now: typeof OLD) => unknown, readonly string[]]>([
  ['nothing', (now) => now, []],
  [
    'more of everything',
    (now) => {
      Object.assign(now.paths, { '/v1/new': {} });
      Object.assign(now.paths['/v1/lanes'].get.responses[200].schema.properties, { more: {} });
      Object.assign(now.paths['/v1/lanes'].post.requestBody.schema.properties, { c: {} });
      now.paths['/v1/lanes'].get.parameters.push({
        ...{ name: 'after', in: 'query', schema: { type: 'string' } },
      });
    },
    [],
  ],
  [
    'a member that an answer has more, wherever its schema stands',
    (now) => {
      Object.assign(now.components.schemas.Lane.properties, { more: {} });
      now.components.schemas.Lane.required.push('more');
    },
    [],
  ],
  [
    'a member that a named schema of an answer need not have any more',
    (now) => now.components.schemas.Lane.required.pop(),
    ['/paths/~1v1~1lanes~1{id}/get/responses/200/schema/required has no id any more'],
  ],
  [
    'a path that is gone',
    (now) => Reflect.deleteProperty(now.paths, '/v1/lanes'),
    ['/paths/~1v1~1lanes is gone'],
  ],
  [
    'a member of an answer that is gone',
    (now) =>
      Reflect.deleteProperty(now.paths['/v1/lanes'].get.responses[200].schema.properties, 'state'),
    ['/paths/~1v1~1lanes/get/responses/200/schema/properties/state is gone'],
  ],
  [
    'a member that is asked for now',
    (now) => now.paths['/v1/lanes'].post.requestBody.schema.required.push('b'),
    ['/paths/~1v1~1lanes/post/requestBody/schema asks for b'],
  ],
  [
    'a parameter that is asked for now',
    (now) =>
      now.paths['/v1/lanes'].get.parameters.push(
        Object.assign(
          { name: 'callback', in: 'query', schema: { type: 'string' } },
          { required: true },
        ),
      ),
    ['/paths/~1v1~1lanes/get/parameters/callback asks for itself'],
  ],
  [
    'a type that is another',
    (now) => {
      const [limit] = now.paths['/v1/lanes'].get.parameters;
      Object.assign(limit?.schema ?? {}, { type: 'string' });
    },
    ['/paths/~1v1~1lanes/get/parameters/limit/schema/type is "string" and was "integer"'],
  ],
])('%s is told for what it is', (_what, change, told) => {
  const now = structuredClone(OLD);
  change(now);
  expect(breakingChanges(OLD, now)).toEqual(told);
});
