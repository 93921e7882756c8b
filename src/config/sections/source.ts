/** The `source` section: which server is read, how it is reached, and where reading begins. */

import { z } from 'zod';
import { Secret } from '../secret.ts';
import { count, duration, expecting, path, secretText } from '../scalars.ts';
import { timestamp } from '../timestamp.ts';
import { tlsOptions, tlsSchema } from './tls.ts';

/** A GTID set in MySQL's text form, tags included, or a position in MariaDB's: `0-1-5,3-2-8`. */
const GTID_SET = (() => {
  const uuid = '[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}';
  const part = '(?::(?:[a-zA-Z_][a-zA-Z0-9_]{0,31}|[1-9][0-9]*(?:-[1-9][0-9]*)?))+';
  const mariadb = '[0-9]+-[0-9]+-[0-9]+';
  return new RegExp(`^(?:${uuid}${part}(?:,${uuid}${part})*|${mariadb}(?:,${mariadb})*)$`);
})();

/** Where a server listens and who we are there. `host` is null over a socket. */
export interface Address {
  readonly host: string | null;
  readonly port: number;
  readonly user: string;
  readonly password: Secret | null;
}

/** One server of the source: over TCP, or over a socket of this machine. */
export interface ServerAddress extends Address {
  readonly socketPath: string | null;
}

const startSchema = z
  .union(
    [
      z.enum(['latest', 'earliest']),
      z.strictObject({
        gtid: z
          .string({ error: expecting('a GTID set', '"<uuid>:1-100"') })
          .transform((text) => text.replaceAll(/\s/g, ''))
          .pipe(
            z.string().regex(GTID_SET, {
              error:
                'must be a GTID set as MySQL prints it, or a position as MariaDB does: 0-1-5,3-2-8',
            }),
          )
          .describe(
            'Transactions already seen: reading begins with the first one outside the set.',
          ),
      }),
      z.strictObject({
        file: z
          .string({ error: expecting("a binlog file's name", 'binlog.000042') })
          .regex(/^[^/\\]+\.\d+$/, {
            error: "must be a binlog file's name without a folder, such as binlog.000042",
          })
          .describe('Binlog file in which reading begins.'),
        position: count(4, Number.MAX_SAFE_INTEGER).describe(
          'Byte in that file where an event begins.',
        ),
      }),
      z
        .strictObject({
          timestamp: timestamp().describe(
            'RFC 3339: reading begins with the first transaction committed at this time or later.',
          ),
        })
        .transform((start) => ({ timestampMs: start.timestamp })),
    ],
    {
      error: expecting(
        'latest, earliest, {gtid: …}, {file: …, position: …} or {timestamp: …}',
        'latest',
      ),
    },
  )
  .describe('Where reading begins when the log holds nothing of ours; of no effect afterwards.');

const urlSchema = z
  .string({ error: expecting('a URL', 'mysql://rowcall:${MYSQL_PASSWORD}@127.0.0.1:3306') })
  .transform((text, context) => {
    const address = parseSourceUrl(text);
    if (typeof address !== 'string') return address;
    context.addIssue({ code: 'custom', message: address });
    return z.NEVER;
  });

/** More than one topology has seldom: each of them is asked at a connect before it is given up. */
const MAX_SERVERS = 16;

const urlsSchema = z
  .array(urlSchema, {
    error: expecting('a list of URLs', '["mysql://rowcall:${MYSQL_PASSWORD}@db1:3306"]'),
  })
  .min(1)
  .max(MAX_SERVERS)
  .superRefine((addresses, context) => {
    const names = addresses.map(({ host, port }) => `${host}:${port}`);
    names.forEach((name, index) => {
      if (names.indexOf(name) === index) return;
      context.addIssue({
        code: 'custom',
        path: [index],
        message: 'has the host and port of one before it; remove one of them',
      });
    });
  });

export const sourceSchema = z
  .strictObject(
    {
      url: urlSchema
        .optional()
        .describe('mysql://user:password@host:port, special characters percent-encoded.'),
      urls: urlsSchema
        .optional()
        .describe(
          'Several such URLs instead of url, best first: servers of one replication topology, for failover by GTID.',
        ),
      host: z
        .string({ error: expecting('a host name', 'db.example.com') })
        .min(1)
        .max(255)
        .optional()
        .describe('Host name or address, instead of url.'),
      port: count(1, 65_535).default(3306).describe('TCP port; with host.'),
      user: z
        .string({ error: expecting("a user's name", 'rowcall') })
        .min(1)
        .max(32)
        .optional()
        .describe('Account; with host or socket.'),
      password: secretText().optional().describe('Its password; with host or socket.'),
      socket: path('/run/mysqld/mysqld.sock')
        .optional()
        .describe('Unix socket, instead of url and host.'),
      tls: tlsSchema.prefault({}).describe('Encryption of the connection to the server.'),
      server_id: count(1, 4_294_967_295)
        .optional()
        .describe(
          'Our number among the readers of this server; must be unique. Default: derived from name.',
        ),
      minimum_retention: duration(['0s', '3650d'])
        .prefault('24h')
        .describe(
          'How long the server must keep its binlog: one that keeps less is refused at start. 0s accepts any.',
        ),
      require_full_image: z
        .boolean()
        .default(false)
        .describe(
          'Stop at a row that lacks columns (binlog_row_image other than FULL), instead of an event that lacks them.',
        ),
      start: startSchema.prefault('latest'),
      heartbeat: duration(['100ms', '1h'])
        .prefault('10s')
        .describe(
          'How often an idle server says that it lives; after three of silence the connection is made again.',
        ),
    },
    { error: expecting('a mapping', '{ url: "mysql://…" }') },
  )
  .transform(({ url, urls, tls, server_id, minimum_retention, require_full_image, ...rest }) => {
    const { start, heartbeat, ...written } = rest;
    const addresses = urls ?? (url === undefined ? null : [url]);
    const servers: readonly ServerAddress[] = addresses?.map((address) => ({
      ...address,
      socketPath: null,
    })) ?? [addressOf(written)];
    return {
      servers,
      tls: tlsOptions(
        tls,
        servers.map(({ host }) => host),
      ),
      serverId: server_id ?? null,
      minimumRetentionMs: minimum_retention,
      requireFullImage: require_full_image,
      start,
      heartbeatMs: heartbeat,
    };
  })
  .describe('The MySQL server whose binlog is read.');

/** The address that is written part by part; what is missing or too much there is told by the cross-check. */
function addressOf(written: {
  readonly host?: string | undefined;
  readonly port: number;
  readonly user?: string | undefined;
  readonly password?: Secret | undefined;
  readonly socket?: string | undefined;
}): ServerAddress {
  return {
    host: written.host ?? null,
    port: written.port,
    user: written.user ?? '',
    password: written.password ?? null,
    socketPath: written.socket ?? null,
  };
}

/** Takes the URL apart, or says what is wrong with it; never repeats it, as it holds a password. */
export function parseSourceUrl(text: string): Address | string {
  const encode = 'percent-encode special characters, or use host, user and password instead of url';
  const url = URL.parse(text);
  if (url === null) return `is not a URL; ${encode}`;
  if (url.protocol !== 'mysql:') return 'must begin with mysql://';
  if (url.search !== '' || url.hash !== '' || !['', '/'].includes(url.pathname)) {
    return `must end after host and port: tables choose the schemas; ${encode}`;
  }
  if (url.hostname === '') return 'names no host; write mysql://user:password@host:3306';
  if (url.username === '') return 'names no user; write mysql://user:password@host:3306';
  try {
    return {
      host: decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? 3306 : Number(url.port),
      user: decodeURIComponent(url.username),
      password: url.password === '' ? null : new Secret(decodeURIComponent(url.password)),
    };
  } catch {
    // decodeURIComponent throws only for a % that no two hexadecimal digits of UTF-8 follow.
    return `has a % that encodes nothing; write %25 for it, or use host, user and password instead of url`;
  }
}
