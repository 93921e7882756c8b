/** Where progress is kept and shown: `checkpoint`, `state` and `admin`. */

import { z } from 'zod';
import { expecting, hostAndPort, path, slug } from '../scalars.ts';
import { Secret } from '../secret.ts';

export const checkpointSchema = z
  .strictObject({
    type: z
      .literal('log')
      .default('log')
      .describe('log: in the same transaction as the events it covers.'),
  })
  .describe('Where the place reached in the binlog is kept.');

export const stateSchema = z
  .strictObject({
    type: z.literal('sqlite').default('sqlite').describe('sqlite: a file of this process.'),
    path: path('./data/state.db')
      .default('./data/state.db')
      .describe('File of cursors, lanes and ledger; not the file of the log.'),
  })
  .describe("The callbacks' progress.");

/** Long enough that nobody guesses it, and nothing that a header cannot bear. */
const tokenText = z
  .string({ error: expecting('a token', '"${ADMIN_TOKEN}"') })
  .min(16, { error: 'is short enough to be guessed: write at least 16 characters' })
  .max(512)
  .regex(/^[\u0021-\u007e]+$/, { error: 'must be printable ASCII without spaces' })
  .transform((text) => new Secret(text));

const namedToken = z.strictObject({
  name: slug('name: ops').describe('Who it is, in the audit log.'),
  role: z
    .enum(['viewer', 'operator', 'admin'])
    .describe('viewer: look; operator: change what runs; admin: change what is configured.'),
  token: tokenText.describe('Sent as Authorization: Bearer.'),
});

const plainToken = tokenText.transform((token) => ({
  name: 'admin',
  role: 'admin' as const,
  token,
}));

export const adminSchema = z
  .strictObject({
    listen: hostAndPort('127.0.0.1:8686')
      .prefault('127.0.0.1:8686')
      .describe('Address of the API, and of /metrics, /healthz and /readyz.'),
    tokens: z
      .array(
        z.union([namedToken, plainToken], { error: expecting('a token', '"${ADMIN_TOKEN}"') }),
        {
          error: expecting('a list of tokens', '["${ADMIN_TOKEN}"]'),
        },
      )
      .max(100)
      .default([])
      .describe('Who may use the API; without any it is closed. Plain text is an admin token.'),
    private_callbacks: z
      .boolean()
      .default(false)
      .describe('Lets callbacks that are made through the API have allow_private_network.'),
  })
  .transform(({ private_callbacks: privateCallbacks, ...admin }) => ({
    ...admin,
    privateCallbacks,
  }))
  .describe('The address at which the process is watched and run.');
