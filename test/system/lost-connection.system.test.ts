import { afterEach, expect, test } from 'vitest';

import type { MysqlServer } from '../../services/mysql.ts';
import { GtidSet } from '../../src/gtid-set.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';
import { pause } from '../support/rowcall-process.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { LARGE_BYTES, commitLarge } from '../support/workload-large.ts';
import { Dice, runSeed, seededRandom } from '../support/workload-random.ts';
import { openTroubledScene } from '../support/workload-scene.ts';
import type { Scene } from '../support/workload-scene.ts';

let scene: Scene | undefined;
let proxy: TcpProxy | undefined;

afterEach(async () => {
  await scene?.close();
  await proxy?.close();
});

/** A scene whose daemon reads a server of its own through a line that can be cut, and what happens to both. */
class Trouble {
  readonly #scene: Scene;
  readonly #server: MysqlServer;
  readonly #line: TcpProxy;
  readonly #dice: Dice;
  #transactions = 0;

  constructor(scene: Scene, server: MysqlServer, line: TcpProxy, dice: Dice) {
    this.#scene = scene;
    this.#server = server;
    this.#line = line;
    this.#dice = dice;
  }

  /** The line breaks once this share of a large transaction has come through. */
  async cutInside(share: number): Promise<void> {
    await this.#caughtUp();
    const before = this.#line.bytesToClient;
    this.#line.cutAfter(LARGE_BYTES * share);
    await this.#commitLarge();
    // What came before the cut was not all, and all of it came through another connection.
    await eventually(() => {
      expect(this.#line.bytesToClient - before).toBeGreaterThan(LARGE_BYTES * (1 + share));
    });
  }

  /** The line holds a large transaction back at this share of it, and the server ends meanwhile. */
  async endInside(share: number, how: 'kill' | 'stop'): Promise<void> {
    await this.#caughtUp();
    const before = this.#line.bytesToClient;
    this.#line.pauseAfter(LARGE_BYTES * share);
    await this.#commitLarge();
    await eventually(async () => {
      expect(this.#line.bytesToClient - before).toBeGreaterThanOrEqual(LARGE_BYTES * share);
      // The log has a part of it: the checkpoint stands inside the transaction.
      expect((await this.#checkpoint()).open).toHaveLength(1);
    });
    expect(this.#line.bytesToClient - before).toBeLessThan(LARGE_BYTES);
    await this.#server[how]();
    this.#line.cut();
    this.#line.resume();
    await this.#server.start();
  }

  /** The server is killed while a large transaction is written: whether it is committed, only the server knows. */
  async killWhileWriting(): Promise<void> {
    const session = this.#scene.session();
    try {
      const writing = this.#writeLarge(session);
      await pause(this.#dice.between(50, 600));
      await this.#server.kill();
      await this.#server.start();
      await writing;
    } finally {
      await session.close();
    }
  }

  /** What comes next on the line is then what is written next, not what an earlier trouble left. */
  async #caughtUp(): Promise<void> {
    const executed = await withConnection(this.#server.url, async (connection) => {
      const [rows] = await connection.query('SELECT @@GLOBAL.gtid_executed AS gtids');
      return GtidSet.parse((rows as [{ gtids: string }])[0].gtids);
    });
    await eventually(async () => {
      const { gtidSet } = await this.#checkpoint();
      expect(executed.isSubsetOf(GtidSet.parse(gtidSet))).toBe(true);
    });
  }

  /** As it stands in the log. */
  async #checkpoint(): Promise<{ readonly gtidSet: string; readonly open: readonly unknown[] }> {
    const { stdout } = await this.#scene.command('position', 'show', '--json');
    return JSON.parse(stdout) as { gtidSet: string; open: unknown[] };
  }

  /** Until one is committed: against the writers and the DDL, a deadlock may take it. */
  async #commitLarge(): Promise<void> {
    const session = this.#scene.session();
    try {
      while (!(await this.#writeLarge(session)));
    } finally {
      await session.close();
    }
  }

  #writeLarge(session: ReturnType<Scene['session']>): Promise<boolean> {
    this.#transactions += 1;
    return commitLarge(session, this.#transactions, this.#dice);
  }
}

test('nothing is lost, inverted or changed when mysqld ends or its connection is cut inside large transactions', async () => {
  const seed = runSeed();
  const server = await startOwnMysql();
  const line = await TcpProxy.listen({ host: server.host, port: server.port });
  proxy = line;
  scene = await openTroubledScene({
    name: 'cut',
    seed,
    serverUrl: server.url,
    through: (url) => line.through(url),
  });
  const refusing = scene.receivers.get('refusing');
  const daemon = scene.start();
  await daemon.ready();

  const stopWriting = scene.startWriting({ seed, pauseMs: 60 });
  const trouble = new Trouble(scene, server, line, new Dice(seededRandom(seed + 2)));
  const steps: readonly (() => Promise<void>)[] = [
    () => trouble.cutInside(0.2),
    () => trouble.endInside(0.3, 'kill'),
    () => trouble.killWhileWriting(),
    () => trouble.cutInside(0.5),
    () => trouble.endInside(0.5, 'stop'),
    () => trouble.killWhileWriting(),
    () => trouble.endInside(0.7, 'kill'),
    () => trouble.cutInside(0.8),
  ];
  for (const [n, step] of steps.entries()) {
    if (n % 3 === 0) await refusing?.refuse();
    if (n % 3 === 1) await refusing?.listen();
    await step();
    expect(daemon.running, `seed ${seed}: ${daemon.stderr}`).toBe(true);
  }
  await refusing?.listen();
  await stopWriting();

  await scene.allTaken(150_000);
  const findings = await scene.findings();
  expect(findings, `ROWCALL_TEST_SEED=${seed} plays it again`).toEqual([]);
  expect(scene.expected.transactions).toBeGreaterThan(200);
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
});
