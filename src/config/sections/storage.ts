/** Where things are kept and shown: `log`, `checkpoint`, `state` and `admin`. */

import { z } from 'zod';
import { count, duration, expecting, path, size } from '../scalars.ts';

export const logSchema = z
  .strictObject({
    type: z
      .literal('embedded')
      .default('embedded')
      .describe('embedded: a file of this process, no broker.'),
    path: path('./data/events.db').default('./data/events.db').describe('File of the log.'),
    retention: z
      .strictObject({
        age: duration(['1m', '3650d'])
          .prefault('7d')
          .describe('Settled events younger than this stay.'),
        size: size(['1MiB', '1024TiB'])
          .prefault('10GiB')
          .describe('Above this the oldest settled events go, however young.'),
      })
      .prefault({})
      .describe('What may be deleted; never what a callback has not settled.'),
    max_size: size(['1MiB', '1024TiB'])
      .prefault('50GiB')
      .describe('Size of the file at which capture pauses until there is room.'),
    topics: z
      .strictObject({
        partitions: count(1, 1024)
          .default(1)
          .describe('Partitions of a topic when it is made; keys are spread over them.'),
      })
      .prefault({})
      .describe('How topics are made.'),
  })
  .transform((log) => ({
    type: log.type,
    path: log.path,
    retention: { ageMs: log.retention.age, sizeBytes: log.retention.size },
    maxSizeBytes: log.max_size,
    topics: log.topics,
  }))
  .describe('The change log between capture and callbacks.');

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

export const adminSchema = z
  .strictObject({
    listen: z
      .string({ error: expecting('an address', '127.0.0.1:8686') })
      .transform((text, context) => {
        const [, bracketed, plain, digits] =
          /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
        const host = bracketed ?? plain;
        const port = Number(digits);
        if (host === undefined || port > 65_535) {
          context.addIssue({
            code: 'custom',
            message: 'must be host:port, such as 127.0.0.1:8686 or [::1]:8686',
          });
          return z.NEVER;
        }
        return { host, port };
      })
      .prefault('127.0.0.1:8686')
      .describe('Address of /metrics, /healthz and /readyz.'),
  })
  .describe('The address at which the process is watched.');
