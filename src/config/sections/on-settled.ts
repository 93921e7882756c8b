/** `callbacks[].on_settled`: a statement that writes back what became of an event. */

import { z } from 'zod';
import { settledStatement } from '../../on-settled/settled-statement.ts';
import { StatementFault } from '../../on-settled/statement-fault.ts';
import { count, duration, expecting, uniqueList } from '../scalars.ts';
import { parseSourceUrl } from './source.ts';
import { tlsOptions, tlsSchema } from './tls.ts';

type ServerUrl = Exclude<ReturnType<typeof parseSourceUrl>, string> & {
  readonly database: string | null;
};

const urlSchema = z
  .string({ error: expecting('a URL', 'mysql://writer:${WRITER_PASSWORD}@127.0.0.1:3306') })
  .transform((text, context) => {
    const address = parseServerUrl(text);
    if (typeof address !== 'string') return address;
    context.addIssue({ code: 'custom', message: address });
    return z.NEVER;
  });

const sqlSchema = z
  .string({
    error: expecting('SQL', 'UPDATE shop.orders SET notified = :status WHERE id = :key.id'),
  })
  .superRefine((text, context) => {
    try {
      settledStatement(text);
    } catch (error) {
      if (!(error instanceof StatementFault)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
    }
  });

export const onSettledSchema = z
  .strictObject(
    {
      url: urlSchema.describe(
        'mysql://user:password@host:port of the server that is written, perhaps with /database; special characters percent-encoded.',
      ),
      tls: tlsSchema.prefault({}).describe('Encryption of the connection to that server.'),
      sql: sqlSchema.describe(
        'One UPDATE, INSERT, REPLACE or DELETE with parameters such as :status; it may run more than once for an event.',
      ),
      statuses: uniqueList(z.enum(['delivered', 'dead', 'skipped']), '[delivered]')
        .default(['delivered', 'dead', 'skipped'])
        .describe('For which ends of an event it runs.'),
      timeout: duration(['100ms', '10m'])
        .prefault('5s')
        .describe('How long the server may take for it, waiting for locks included.'),
      max_pending: count(1, 10_000_000)
        .default(100_000)
        .describe('Statements that may wait to be run; then this callback’s cursor stops.'),
    },
    { error: expecting('a mapping', '{ url: mysql://…, sql: UPDATE … }') },
  )
  .optional()
  .transform((written) =>
    written === undefined
      ? null
      : {
          server: written.url,
          tls: tlsOptions(written.tls, [written.url.host]),
          sql: written.sql,
          statuses: written.statuses,
          timeoutMs: written.timeout,
          maxPending: written.max_pending,
        },
  )
  .describe('A statement run on a MySQL server once an event is settled.');

/** As the URL of a source, with a database. Says what is wrong with it; never repeats it, as it holds a password. */
export function parseServerUrl(text: string): ServerUrl | string {
  const url = URL.parse(text);
  const [, path = '', more] = url?.pathname.split('/') ?? [];
  if (url === null || path === '' || more !== undefined) {
    const address = parseSourceUrl(text);
    return typeof address === 'string' ? address : { ...address, database: null };
  }
  let database: string;
  try {
    database = decodeURIComponent(path);
  } catch {
    return 'has a % in its database that encodes nothing; write %25 for it';
  }
  url.pathname = '';
  const address = parseSourceUrl(url.href);
  return typeof address === 'string' ? address : { ...address, database };
}
