/** What `rowcall position` says, and that a person can do what it says. */
import { beforeAll, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { startOwnMysql } from '../support/mysql.ts';
import { asked, run } from '../support/replication.ts';
import { positionScene, type PositionScene } from './support/position-scene.ts';

let server: MysqlServer;
let scene: PositionScene;
let uuid: string;

beforeAll(async () => {
  server = await startOwnMysql({ fast: true });
  await run(server, 'RESET BINARY LOGS AND GTIDS', 'CREATE DATABASE shop');
  uuid = await asked(server, 'SELECT @@GLOBAL.server_uuid AS value');
  scene = await positionScene(server);
});

it('names the part of a set that the source has not executed, and the way to one that it has', async () => {
  const { code, err } = await scene.position('set', '--gtid', `${uuid}:1-9999`);
  expect(code).toBe(3);
  expect(err).toContain('GTID_NOT_SUBSET: The source has not executed all of the set given');
  expect(err).toContain(`${uuid}:2-9999 is not in its gtid_executed`);
  expect(err).toContain('SELECT @@GLOBAL.gtid_executed');
  expect(err).not.toContain('position set');
});

it('leads from a file that is not there to those that are', async () => {
  const args = ['--file', 'binlog.000999', '--position', '4'];
  const { code, err } = await scene.position('set', ...args);
  expect(code).toBe(3);
  expect(err).toContain('The source has no file binlog.000999');
  expect(err).toContain('SHOW BINARY LOGS');
  expect(err).not.toContain('position set');
});

it('names options in the cure of a time', async () => {
  const future = await scene.position('set', '--timestamp', '2999-01-01T00:00:00Z');
  expect(future.err).toContain('--latest');
  const past = await scene.position('set', '--timestamp', '1999-01-01T00:00:00Z');
  expect(past.out + past.err).toMatch(/--earliest|New:/);
});

it('says that a set is empty, and gives a way back that can be pasted', async () => {
  const first = await scene.position('set', '--earliest', '--yes');
  expect(first.out).toMatch(/^ {2}gtids {4}none$/m);
  const second = await scene.position('set', '--latest', '--yes');
  expect(second.out).toContain(`rowcall position set -c '${scene.file}' --gtid '' --yes`);
  const back = await scene.position('set', '--gtid', '', '--yes');
  expect(back.code, back.err).toBe(0);
});

it('shows the commit time as exactly as it is known', async () => {
  await scene.position('set', '--latest', '--yes');
  const { out } = await scene.position('show');
  const shown = /committed (\S+)$/m.exec(out)?.[1] ?? '';
  const checkpoint = JSON.parse((await scene.position('show', '--json')).out) as {
    last: { commitUs: number };
  };
  expect(Date.parse(shown)).toBe(Math.floor(checkpoint.last.commitUs / 1000));
});
