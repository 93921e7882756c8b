/** `rowcall position set` where the source was reset: numbers that were read stand for other transactions now. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { startOwnMysql } from '../support/mysql.ts';
import { asked, run } from '../support/replication.ts';
import { positionScene, type PositionScene } from './support/position-scene.ts';

const insert = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `INSERT INTO shop.orders VALUES (${from + index})`);

describe.each(['ON', 'OFF'])('a source that was reset, with gtid_mode %s', (mode) => {
  let server: MysqlServer;
  let scene: PositionScene;
  let uuid: string;

  beforeAll(async () => {
    const args = [`--gtid-mode=${mode}`, `--enforce-gtid-consistency=${mode}`];
    server = await startOwnMysql({ fast: true, args });
    await run(server, 'RESET BINARY LOGS AND GTIDS', 'CREATE DATABASE shop');
    await run(server, 'CREATE TABLE shop.orders (id INT PRIMARY KEY)', ...insert(1, 10));
    await run(server, 'FLUSH BINARY LOGS', ...insert(11, 1));
    uuid = await asked(server, 'SELECT @@GLOBAL.server_uuid AS value');
    scene = await positionScene(server);
    const set = await scene.position('set', '--latest', '--yes');
    expect(set.code, set.err).toBe(0);
    await run(server, 'RESET BINARY LOGS AND GTIDS', ...insert(101, 8));
  });

  it('has all skipped that it has, where the place moves to the end', async () => {
    for (const args of [['set', '--latest'], ['reset']]) {
      const { code, out, err } = await scene.position(...args);
      expect(code, err).toBe(0);
      expect(out).toContain('two histories, which cannot be compared');
      expect(out).toMatch(/^ {2}skipped {2}in the binlog: 8 transactions, rows shop.orders 8$/m);
      expect(out).not.toMatch(/^ {2}again/m);
      expect(out).not.toContain('skipped  nothing');
      if (mode === 'ON') expect(out).toContain(`${uuid}:9-13 were read and come again for other`);
    }
  });

  it('says that ids of other events come, where all is read anew', async () => {
    const { out } = await scene.position('set', '--earliest');
    expect(out).toMatch(/^ {2}comes {4}in the binlog: 8 transactions, rows shop.orders 8$/m);
    expect(out).not.toContain('has the same ids');
    if (mode === 'OFF') expect(out).toContain('no id that was given comes again');
    else {
      expect(out).toContain(`${uuid}:1-13 were read and come again for other transactions`);
      expect(out).toContain('de-duplication store');
      expect(out).toContain('new server_uuid');
    }
  });

  it('is known as well once it has written more than was read', async () => {
    await run(server, ...insert(201, 12));
    const { out } = await scene.position('set', '--latest');
    expect(out).toContain('two histories, which cannot be compared');
    expect(out).toMatch(/^ {2}skipped {2}in the binlog: 20 transactions, rows shop.orders 20$/m);
  });
});
