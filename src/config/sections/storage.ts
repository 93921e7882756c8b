/** Where progress is kept and shown: `checkpoint`, `state` and `admin`. */

import { z } from 'zod';
import { hostAndPort, path } from '../scalars.ts';

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
    listen: hostAndPort('127.0.0.1:8686')
      .prefault('127.0.0.1:8686')
      .describe('Address of /metrics, /healthz and /readyz.'),
  })
  .describe('The address at which the process is watched.');
