/** What the demo needs around the shop: a MySQL server, a least-privilege account, receivers, the configuration. */

import { randomBytes } from 'node:crypto';
import { createWriteStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createConnection } from 'mysql2/promise';
import type { Connection, RowDataPacket } from 'mysql2/promise';

import { freePort } from '../services/free-port.ts';
import { startMysql } from '../services/mysql.ts';
import type { MysqlServer } from '../services/mysql.ts';
import { ServiceError } from '../services/service-error.ts';
import { ReceiverJournal } from '../test/support/receiver-journal.ts';
import type { Arrival } from '../test/support/receiver-journal.ts';
import { Receiver } from '../test/support/receiver.ts';
import type { Reaction } from '../test/support/receiver.ts';
import { writeConfig } from '../test/support/rowcall-process-config.ts';
import type { CallbackSetup } from '../test/support/rowcall-process-config.ts';
import type { Dice } from '../test/support/workload-random.ts';
import { CALLBACKS } from './books.ts';
import type { CallbackName } from './books.ts';
import { openKafka } from './kafka.ts';
import type { DemoKafka } from './kafka.ts';
import { createShop } from './shop.ts';

/** After the run this key's receiver answers 500 for good, so that `--keep` has a lane to show. */
export const POISONED_SKU = 'SKU-013';

export interface Scene {
  readonly admin: Connection;
  readonly database: string;
  /** Administrator's URL with the shop's database chosen. */
  readonly shopUrl: string;
  readonly configFile: string;
  readonly adminListen: string;
  readonly receiversLog: string;
  /** A command that opens MySQL's client on the shop's database. */
  readonly mysqlClient: string;
  readonly journal: ReceiverJournal;
  /** Null where the log is a file. */
  readonly kafka: DemoKafka | null;
  /** Attempts that the receivers did not take, so far. */
  readonly failures: () => number;
  /** From now on the key of POISONED_SKU fails, and nothing else. */
  readonly poison: () => void;
  readonly close: () => Promise<void>;
}

/**
 * Brings everything up. Closing undoes it, and so does a failure on the way: the server of ours ends, and of
 * a given one the database and the account are dropped.
 */
export async function openScene(options: {
  readonly dice: Dice;
  /** The log is in Kafka. */
  readonly kafka: boolean;
  readonly progress: (line: string) => void;
}): Promise<Scene> {
  const { dice, progress } = options;
  await using made = new AsyncDisposableStack();
  const server = made.use(await startMysql({ progress }));
  const admin = await createConnection(server.url);
  made.defer(() => admin.end());
  await requireGtids(admin);
  const database =
    server.how === 'given' ? `rowcall_demo_${randomBytes(3).toString('hex')}` : 'shop';
  const account = await createDatabaseAndAccount(made, { admin, server, database }).catch(
    (error: unknown) => {
      if (server.how !== 'given') throw error;
      throw new Error(
        `The account in ROWCALL_MYSQL_URL could not make the demo's database and account: ${String(error)}\n` +
          'npm run demo -- --help names what it must be allowed to.',
        { cause: error },
      );
    },
  );

  const folder = mkdtempSync(join(tmpdir(), 'rowcall-demo-'));
  made.defer(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const kafka = options.kafka ? await openKafka(made, { folder, database, progress }) : null;
  const receiversLog = join(folder, 'receivers.log');
  const log = createWriteStream(receiversLog);
  made.defer(() => {
    log.end();
  });
  const journal = new ReceiverJournal();
  const trouble = { poisoned: false, failures: 0 };
  const secret = `whsec_${randomBytes(32).toString('base64')}`;
  const receivers = new Map<CallbackName, Receiver>();
  for (const name of CALLBACKS) {
    const react = (arrival: Arrival): Reaction => {
      const reaction = trouble.poisoned ? poisonedReaction(arrival) : reactionOf(arrival, dice);
      if (reaction.kind !== 'take') trouble.failures += 1;
      logArrival(log, arrival, reaction);
      return reaction;
    };
    const receiver = new Receiver({ journal, secret, react });
    await receiver.listen();
    made.defer(() => receiver.refuse());
    receivers.set(name, receiver);
  }

  const adminListen = `127.0.0.1:${await freePort()}`;
  const configFile = writeConfig({
    folder,
    name: kafka?.name ?? 'demo',
    sourceUrl: account.url,
    admin: adminListen,
    tables: [`${database}.*`],
    callbacks: [...receivers].map(([name, { url }]) => callback(name, { url, secret, database })),
    source: { heartbeat: '5s' },
    options: kafka === null ? {} : { log: kafka.log },
  });
  const mysqlClient = writeMysqlClient(folder, server, database);
  const closing = made.move();
  return {
    admin,
    database,
    shopUrl: new URL(`/${database}`, server.url).href,
    configFile,
    adminListen,
    receiversLog,
    mysqlClient,
    journal,
    kafka,
    failures: () => trouble.failures,
    poison: () => {
      trouble.poisoned = true;
    },
    close: () => closing.disposeAsync(),
  };
}

/** The demo knows what it committed by the GTIDs that the server tells, whatever Rowcall says. */
async function requireGtids(admin: Connection): Promise<void> {
  const [rows] = await admin.query<RowDataPacket[]>('SELECT @@GLOBAL.gtid_mode AS mode');
  if (rows[0]?.['mode'] !== 'ON') {
    throw new Error('The demo needs gtid_mode = ON on the server of ROWCALL_MYSQL_URL.');
  }
}

async function createDatabaseAndAccount(
  made: AsyncDisposableStack,
  at: { readonly admin: Connection; readonly server: MysqlServer; readonly database: string },
): Promise<{ readonly url: string }> {
  const { admin, server, database } = at;
  const undo = (sql: string): void => {
    made.defer(async () => {
      await admin.query(sql);
    });
  };
  await admin.query(`CREATE DATABASE \`${database}\``);
  undo(`DROP DATABASE \`${database}\``);
  await admin.query(`USE \`${database}\``);
  await createShop(admin);
  const user = server.how === 'given' ? database : 'rowcall';
  const password = randomBytes(12).toString('hex');
  await admin.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
  undo(`DROP USER '${user}'@'%'`);
  await admin.query(`GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO '${user}'@'%'`);
  return { url: `mysql://${user}:${password}@${server.host}:${server.port}` };
}

/** A script, because the client's own command line is long and may hold the password. */
function writeMysqlClient(folder: string, server: MysqlServer, database: string): string {
  const file = join(folder, 'mysql');
  try {
    const { command, args } = server.tool('mysql');
    const words = [command, ...args, database].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
    writeFileSync(file, `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`, { mode: 0o700 });
    return file;
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    // Without the program of MySQL's, any other client will do.
    return `a MySQL client of your own, at ${server.host}:${server.port}, database ${database}`;
  }
}

function callback(
  name: CallbackName,
  at: { readonly url: string; readonly secret: string; readonly database: string },
): CallbackSetup {
  const tables = {
    orders: ['orders', 'order_items'],
    inventory: ['inventory'],
    payments: ['payments'],
    notifications: ['orders'],
  } as const;
  const retry = { initial_interval: '200ms', maximum_interval: '2s' };
  return {
    name,
    url: at.url,
    secret: at.secret,
    tables: tables[name].map((table) => `${at.database}.${table}`),
    deliver: { timeout: '1s' },
    options:
      name === 'notifications'
        ? { operations: ['insert', 'update'], changed: ['status'], retry }
        : { retry },
  };
}

/** A few keys have a bad day: attempts fail, or hang until the sender gives up. The rest must not notice. */
function reactionOf(arrival: Arrival, dice: Dice): Reaction {
  const bad = arrival.key?.endsWith('77}') === true || arrival.key?.includes(POISONED_SKU) === true;
  if (!bad || arrival.attempt > 2 || dice.chance(0.5)) return { kind: 'take' };
  return dice.chance(0.1) ? { kind: 'hang' } : { kind: 'fail', status: 500 };
}

function poisonedReaction(arrival: Arrival): Reaction {
  return arrival.key?.includes(POISONED_SKU) === true
    ? { kind: 'fail', status: 500 }
    : { kind: 'take' };
}

function logArrival(log: WriteStream, arrival: Arrival, reaction: Reaction): void {
  const answer = { take: '204', fail: '500', hang: 'hangs' } as Record<string, string>;
  const time = new Date(arrival.arrivedAtMs).toISOString().slice(11, 23);
  log.write(
    `${time} ${arrival.callback.padEnd(13)} ${answer[reaction.kind] ?? reaction.kind} ` +
      `attempt ${arrival.attempt} ${arrival.operation.padEnd(6)} ${arrival.table} ${arrival.key ?? ''}\n`,
  );
}
