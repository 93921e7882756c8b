import { afterEach, expect, test } from 'vitest';

import { GtidSet } from '../../src/gtid-set.ts';
import { eventually } from '../support/eventually.ts';
import { atEnd } from '../support/mysql.ts';
import { asked, promote, semiSynchronous, startReplicated } from '../support/replication.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { runSeed } from '../support/workload-random.ts';
import { openTroubledScene } from '../support/workload-scene.ts';
import type { Scene } from '../support/workload-scene.ts';

let scene: Scene | undefined;

afterEach(async () => {
  await scene?.close();
});

/** A line that outlives the scene, whose database is dropped over it. */
async function lineTo(server: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const line = await TcpProxy.listen(server);
  atEnd(() => line.close());
  return line;
}

interface Place {
  readonly serverUuid: string;
  readonly gtidSet: string;
  readonly open: readonly { readonly transaction: string }[];
}

async function checkpoint(of: Scene): Promise<Place> {
  const { stdout } = await of.command('position', 'show', '--json');
  return JSON.parse(stdout) as Place;
}

const NOTES = 1000;
const BODY_BYTES = 2500;

/** A transaction of some megabytes over tables with keys; the replica has it when this resolves. */
async function commitLarge(of: Scene): Promise<void> {
  const session = of.session();
  const commit = (): Promise<boolean> =>
    session.transaction(async (transaction) => {
      for (let step = 0; step < 4; step += 1) {
        const rows = Array.from({ length: NOTES / 4 }, (_, n) => ({
          id: 2_000_000 + step * NOTES + n,
          body: 'x'.repeat(BODY_BYTES),
        }));
        const [first, ...rest] = rows;
        if (first !== undefined) await transaction.insert('notes', [first, ...rest]);
      }
      return 'commit';
    });
  try {
    while (!(await commit()));
  } finally {
    await session.close();
  }
}

test('a source killed under load is followed by its replica: each event once, in order, with its id', async () => {
  const seed = runSeed();
  const [a, b] = await startReplicated(1, { fast: true });
  if (b === undefined) throw new Error('No replica');
  await semiSynchronous(a, b);
  // Where applications write: it moves with the promotion, as an address or a proxy does.
  const writes = await lineTo(a);
  const reads = await lineTo(a);
  const opened = await openTroubledScene({
    name: 'failover',
    seed,
    serverUrl: writes.through(a.url),
    servers: (url) => [reads.through(url), Object.assign(new URL(url), { port: b.port }).href],
  });
  scene = opened;
  opened.receivers.get('refusing')?.takeAll();
  const daemon = opened.start();
  await daemon.ready();
  const stopWriting = opened.startWriting({ seed, pauseMs: 40 });
  await eventually(() => {
    expect(opened.journal.taken('steady').size).toBeGreaterThan(200);
  });

  // The log has the first rows of a transaction when the source dies; the rest comes from the replica.
  reads.pauseAfter((NOTES * BODY_BYTES) / 2);
  await commitLarge(opened);
  const cut = await eventually(async () => {
    const place = await checkpoint(opened);
    expect(place.open).toHaveLength(1);
    return place;
  });
  await a.kill();
  await promote(b);
  writes.retarget(b);
  reads.cut();
  reads.resume();

  const uuid = await asked(b, 'SELECT @@GLOBAL.server_uuid AS value');
  expect(uuid).not.toBe(cut.serverUuid);
  await eventually(async () => {
    const place = await checkpoint(opened);
    expect(place.serverUuid).toBe(uuid);
    expect(GtidSet.parse(place.gtidSet).of(uuid).isEmpty).toBe(false);
    expect(place.open).toEqual([]);
  });
  const transactions = opened.expected.transactions;
  await eventually(() => {
    expect(opened.expected.transactions).toBeGreaterThan(transactions + 50);
  });
  await stopWriting();

  await opened.allTaken(90_000);
  expect(await opened.findings(), `ROWCALL_TEST_SEED=${seed} plays it again`).toEqual([]);
  expect(daemon.stderr).toContain('Going on at another server');
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
});
