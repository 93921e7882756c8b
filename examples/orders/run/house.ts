/** What the example runs on: MySQL with its tables, the four services and the bank, Rowcall, and the load. */

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createConnection, type Connection } from 'mysql2/promise';
import { freePort } from '../../../services/free-port.ts';
import { type MysqlServer, startMysql } from '../../../services/mysql.ts';
import { rowcall, RowcallProcess } from '../../../test/support/rowcall-process.ts';
import { Bank } from './bank.ts';
import { SCARCE, sku, SKUS } from './customers.ts';
import type { Load, LoadResult } from './load.ts';
import { ServiceProcess } from './service-process.ts';

const CONFIG_FILE = fileURLToPath(new URL('../rowcall.yaml', import.meta.url));
const SCHEMA_FILE = new URL('../schema.sql', import.meta.url);
const LOAD_FILE = fileURLToPath(new URL('./load.ts', import.meta.url));
const MAX_RESULT_BYTES = 256 * 1024 * 1024;
const SCARCE_STOCK = 2;
/** On a machine that all of it shares. */
const START_TIMEOUT_MS = 120_000;

export interface HouseOptions {
  /** Of inventory, bank and notification: from, to. */
  readonly serviceMs: readonly [number, number];
  /** Orders of which one service works at a time. */
  readonly concurrency: number;
  readonly progress: (line: string) => void;
}

/** Invariant: what it starts ends with `close`, or with this process. */
export class House {
  readonly admin: Connection;
  readonly bank: Bank;
  readonly services: Readonly<
    Record<'order' | 'inventory' | 'payment' | 'notification', ServiceProcess>
  >;
  readonly folder: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #made: AsyncDisposableStack;
  #daemon: RowcallProcess | undefined;

  private constructor(
    parts: Pick<House, 'admin' | 'bank' | 'services' | 'folder'>,
    env: Readonly<Record<string, string>>,
    made: AsyncDisposableStack,
  ) {
    this.admin = parts.admin;
    this.bank = parts.bank;
    this.services = parts.services;
    this.folder = parts.folder;
    this.#env = env;
    this.#made = made;
  }

  /** All but Rowcall is running then. */
  static async open({ serviceMs, concurrency, progress }: HouseOptions): Promise<House> {
    await using made = new AsyncDisposableStack();
    const isGiven = (process.env['ROWCALL_MYSQL_URL'] ?? '') !== '';
    const server = made.use(
      await startMysql({ progress, ...(isGiven ? {} : { args: ['--max-connections=1000'] }) }),
    );
    const admin = await createConnection({ uri: server.url, multipleStatements: true });
    made.defer(() => admin.end());
    const shop = isGiven ? `rowcall_orders_${randomBytes(3).toString('hex')}` : 'shop';
    const sourceUrl = await createShop(made, { admin, server, shop });
    const folder = mkdtempSync(join(tmpdir(), 'rowcall-orders-'));
    made.defer(() => {
      rmSync(folder, { recursive: true, force: true });
    });
    const bank = new Bank(serviceMs);
    made.defer(() => {
      bank.close();
    });
    const completions = `127.0.0.1:${await freePort()}`;
    const env = {
      MYSQL_URL: new URL(`/${shop}`, server.url).href,
      SOURCE_URL: sourceUrl,
      SHOP: shop,
      BANK_URL: await bank.listen(),
      SERVICE_MS: serviceMs.join('-'),
      CONCURRENCY: String(concurrency),
      CONNECTIONS: String(concurrency),
      COMPLETIONS: completions,
      COMPLETIONS_URL: `http://${completions}`,
      DATA: folder,
      ADMIN: `127.0.0.1:${await freePort()}`,
    };
    const { services, urls } = await startServices(made, folder, env);
    return new House({ admin, bank, services, folder }, { ...env, ...urls }, made.move());
  }

  async close(): Promise<void> {
    await this.#daemon?.stop();
    await this.#made.disposeAsync();
  }

  async startRowcall(): Promise<void> {
    this.#daemon = new RowcallProcess({
      configFile: CONFIG_FILE,
      admin: this.#env['ADMIN'] ?? '',
      env: this.#env,
    });
    await this.#daemon.healthy(START_TIMEOUT_MS);
  }

  /** SIGKILL, as a power cut. */
  async killRowcall(): Promise<void> {
    await this.#daemon?.kill();
  }

  async ledger(): Promise<string> {
    const { code, stdout, stderr } = await rowcall(['ledger', '-c', CONFIG_FILE], this.#env);
    if (code !== 0) throw new Error(`rowcall ledger ended with ${code}: ${stderr}${stdout}`);
    return stdout.trim();
  }

  /** Orders at an even pace, from a process of its own. */
  async load(load: Omit<Load, 'url'> & { readonly path: string }): Promise<LoadResult> {
    const { path, ...rest } = load;
    const argument: Load = { ...rest, url: `${this.services.order.url}${path}` };
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [LOAD_FILE, JSON.stringify(argument)],
      { maxBuffer: MAX_RESULT_BYTES },
    );
    return JSON.parse(stdout) as LoadResult;
  }
}

async function createShop(
  made: AsyncDisposableStack,
  at: { readonly admin: Connection; readonly server: MysqlServer; readonly shop: string },
): Promise<string> {
  const { admin, server, shop } = at;
  const undo = (sql: string): void => {
    if (server.how !== 'given') return;
    made.defer(async () => {
      await admin.query(sql);
    });
  };
  await admin.query(`CREATE DATABASE \`${shop}\``);
  undo(`DROP DATABASE \`${shop}\``);
  await admin.query(`USE \`${shop}\``);
  await admin.query(readFileSync(SCHEMA_FILE, 'utf8'));
  const stock = Array.from({ length: SKUS }, (_, n) => {
    const stocked = sku(n) === SCARCE ? SCARCE_STOCK : 1_000_000;
    return [sku(n), stocked, stocked];
  });
  await admin.query('INSERT INTO stock VALUES ?', [stock]);
  const user = server.how === 'given' ? shop : 'rowcall';
  const password = randomBytes(12).toString('hex');
  await admin.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
  undo(`DROP USER '${user}'@'%'`);
  await admin.query(`GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO '${user}'@'%'`);
  return `mysql://${user}:${password}@${server.host}:${server.port}`;
}

async function startServices(
  made: AsyncDisposableStack,
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<{
  readonly services: House['services'];
  /** Where they are, and with which secrets they are called. */
  readonly urls: Readonly<Record<string, string>>;
}> {
  const names = ['order', 'inventory', 'payment', 'notification'] as const;
  const ports = new Map<string, number>();
  const urls: Record<string, string> = {};
  for (const name of names) {
    const port = await freePort();
    ports.set(name, port);
    urls[`${name.toUpperCase()}_URL`] = `http://127.0.0.1:${port}`;
    urls[`${name.toUpperCase()}_SECRET`] = `whsec_${randomBytes(32).toString('base64')}`;
  }
  const start = async (name: (typeof names)[number]): Promise<ServiceProcess> => {
    const service = new ServiceProcess({
      name,
      port: ports.get(name) ?? 0,
      env: { ...env, ...urls },
      logFile: join(folder, `${name}.log`),
    });
    made.defer(() => service.kill());
    await service.start();
    return service;
  };
  const [order, inventory, payment, notification] = await Promise.all([
    start('order'),
    start('inventory'),
    start('payment'),
    start('notification'),
  ]);
  return { services: { order, inventory, payment, notification }, urls };
}
