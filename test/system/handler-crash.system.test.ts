import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';

import { freePort } from '../../services/free-port.ts';
import { eventually } from '../support/eventually.ts';
import { identities, type LedgerRow, readLedger } from '../support/ledger.ts';
import { freshAccount, freshDatabase, withConnection } from '../support/mysql.ts';
import { RowcallProcess, rowcall } from '../support/rowcall-process.ts';
import { writeConfig } from '../support/rowcall-process-config.ts';
import { tempDir } from '../support/temp-dir.ts';
import { SOURCE_GRANTS } from '../support/workload-scene.ts';

const KEYS = 8;
const CHANGES = 5;
const KILL_9 = "process.kill(process.pid, 'SIGKILL')";
/** More than any of these tests needs. */
const MAX_STARTS = 20;

interface Line {
  readonly what: 'begin' | 'done';
  readonly id: number;
  readonly n: number;
  readonly attempt: number;
}

let daemon: RowcallProcess | undefined;

afterEach(async () => {
  if (daemon?.running === true) await daemon.kill();
});

/** A handler that writes down what it does, and ends its process where `poison` (of `id` and `n`) holds. */
function handlerText(journal: string, poison: string, kill: string): string {
  return `
    import { appendFileSync, existsSync } from 'node:fs';
    const note = (what, { after }, { attempt }) => {
      appendFileSync(${JSON.stringify(journal)}, JSON.stringify({ what, ...after, attempt }) + '\\n');
    };
    const hangs = () => existsSync(${JSON.stringify(`${journal}-hangs`)});
    export async function handle(event, context) {
      const { id, n } = event.after;
      note('begin', event, context);
      if (${poison}) ${kill};
      if (hangs()) await new Promise(() => undefined);
      await new Promise((resolve) => { setTimeout(resolve, 5); });
      note('done', event, context);
    }`;
}

async function openScene(options: {
  readonly poison: string;
  readonly kill: string;
  readonly callback: Readonly<Record<string, unknown>>;
  readonly thread?: boolean;
}) {
  const { name, url } = await freshDatabase('handler_crash');
  const folder = tempDir('rowcall-handler-crash-');
  const [journal, module] = [join(folder, 'journal'), join(folder, 'handler.mjs')];
  writeFileSync(journal, '');
  writeFileSync(module, handlerText(journal, options.poison, options.kill));
  await withConnection(url, async (connection) => {
    await connection.query('CREATE TABLE orders (id INT PRIMARY KEY, n INT NOT NULL)');
  });
  const admin = `127.0.0.1:${await freePort()}`;
  const http = { url: undefined, secrets: undefined, allow_private_network: undefined };
  const configFile = writeConfig({
    ...{ folder, name: 'handler-crash', admin, tables: [`${name}.*`] },
    sourceUrl: await freshAccount(SOURCE_GRANTS),
    callbacks: [
      {
        ...{ name: 'orders', url: '', secret: '', tables: [`${name}.*`] },
        deliver: { ...http, module, thread: options.thread === true },
        options: options.callback,
      },
    ],
  });
  const start = (): RowcallProcess => {
    daemon = new RowcallProcess({ configFile, admin });
    return daemon;
  };
  const write = (): Promise<void> =>
    withConnection(url, async (connection) => {
      const rows = Array.from({ length: KEYS }, (_, id) => `(${id}, 0)`).join();
      await connection.query(`INSERT INTO orders VALUES ${rows}`);
      for (let n = 1; n < CHANGES; n += 1) await connection.query('UPDATE orders SET n = ?', [n]);
    });
  const lines = (): Line[] =>
    readFileSync(journal, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line);
  return { configFile, journal, start, write, lines };
}

type Crashes = Awaited<ReturnType<typeof openScene>>;

/** Starts it anew whenever it was ended, as a supervisor does, until the books are as they are to be. */
async function superviseUntil(
  scene: Crashes,
  isSettled: (row: LedgerRow) => boolean,
): Promise<{ readonly starts: number; readonly row: LedgerRow }> {
  for (let starts = 1; starts <= MAX_STARTS; starts += 1) {
    const running = scene.start();
    if (starts === 1) {
      await running.ready();
      await scene.write();
    }
    let row: LedgerRow | undefined;
    await eventually(
      async () => {
        if (!running.running) return;
        [row] = await readLedger(scene.configFile);
        expect(row !== undefined && isSettled(row)).toBe(true);
      },
      { timeoutMs: 60_000 },
    );
    if (running.running && row !== undefined) return { starts, row };
  }
  throw new Error(`it was ended ${MAX_STARTS} times`);
}

/** What the handler saw of one event to its end, or began. */
function begun(lines: readonly Line[], id: number, n: number): Line[] {
  return lines.filter((line) => line.what === 'begin' && line.id === id && line.n === n);
}

/** Keys whose events were not done in order: a repeat of the last one done is none. */
function inverted(lines: readonly Line[]): number[] {
  return Array.from({ length: KEYS }, (_, id) => id).filter((id) => {
    const done = lines.filter((line) => line.what === 'done' && line.id === id);
    return done.some(({ n }, index) => n < (done[index - 1]?.n ?? 0));
  });
}

function doneOf(lines: readonly Line[]): Set<string> {
  return new Set(lines.filter(({ what }) => what === 'done').map(({ id, n }) => `${id}/${n}`));
}

const CRASHED: unknown = expect.stringMatching(/^handler-crashed: /);
const ALL = KEYS * CHANGES;
const RETRY = { initial_interval: '50ms', maximum_interval: '100ms' };

describe('a handler that ends the process with one event', () => {
  test.each([
    ['exits', 'process.exit(9)', false],
    ['aborts', 'process.abort()', false],
    ['is killed with -9', KILL_9, false],
    ['is killed with -9 by a thread', KILL_9, true],
  ])('%s: after its attempts the key is parked, all else is delivered in order', async (...of) => {
    const [, kill, thread] = of;
    const retry = { ...RETRY, maximum_attempts: 3 };
    const scene = await openScene({
      ...{ poison: 'id === 3 && n === 2', kill, thread, callback: { retry } },
    });
    const { starts, row } = await superviseUntil(
      scene,
      ({ parked, delivered }) => parked === 3 && delivered === ALL - 3,
    );
    // At first it is in flight beside others, and counts for nothing: nobody can say who ended the process.
    expect(starts).toBe(5);
    const lines = scene.lines();
    expect(begun(lines, 3, 2).map(({ attempt }) => attempt)).toEqual([1, 1, 2, 3]);
    expect(doneOf(lines).size).toBe(ALL - 3);
    expect(inverted(lines)).toEqual([]);
    expect(identities(row)).toEqual([]);
    const { stdout } = await rowcall(['lanes', 'list', '-c', scene.configFile, '--json']);
    expect((JSON.parse(stdout) as { items: unknown[] }).items).toMatchObject([
      {
        state: 'parked',
        depth: 3,
        attempts: 3,
        last_error: CRASHED,
      },
    ]);
    expect(await daemon?.stop()).toEqual({ code: 0, signal: null });
  });

  test('it is set aside with the cause system where dead letters are asked for, and the key goes on', async () => {
    const scene = await openScene({
      ...{ poison: '(id === 3 || id === 5) && n === 2', kill: KILL_9 },
      callback: { on_exhausted: 'dead-letter', retry: { ...RETRY, maximum_attempts: 2 } },
    });
    const { row } = await superviseUntil(
      scene,
      ({ dead, delivered }) => dead === 2 && delivered === ALL - 2,
    );
    const lines = scene.lines();
    for (const id of [3, 5]) expect(begun(lines, id, 2).length).toBeLessThanOrEqual(3);
    expect(doneOf(lines).size).toBe(ALL - 2);
    expect(inverted(lines)).toEqual([]);
    expect(identities(row)).toEqual([]);
    const { stdout } = await rowcall(['dead-letters', 'list', '-c', scene.configFile, '--json']);
    const dead = {
      cause: 'system',
      attempts: 2,
      last_error: CRASHED,
    };
    expect((JSON.parse(stdout) as { items: unknown[] }).items).toMatchObject([dead, dead]);
    expect(await daemon?.stop()).toEqual({ code: 0, signal: null });
  });
});

test('a process that is killed from outside uses up no attempt of what handlers had in hand', async () => {
  const scene = await openScene({
    ...{ poison: 'false', kill: '' },
    callback: { on_exhausted: 'dead-letter', retry: { ...RETRY, maximum_attempts: 1 } },
  });
  writeFileSync(`${scene.journal}-hangs`, '');
  const killed = scene.start();
  await killed.ready();
  await scene.write();
  await eventually(() => {
    expect(scene.lines().length).toBe(KEYS);
  });
  await killed.kill();
  writeFileSync(scene.journal, '');
  rmSync(`${scene.journal}-hangs`);
  const second = scene.start();
  await eventually(
    async () => {
      const [row] = await readLedger(scene.configFile);
      expect(row).toMatchObject({ read: ALL, delivered: ALL, dead: 0 });
    },
    { timeoutMs: 60_000 },
  );
  // What could have been in hand came one after another, and nothing beside it.
  const lines = scene.lines();
  const first = lines.flatMap(({ n }, at) => (n === 0 ? [at] : []));
  for (const at of first.filter((_, index) => index % 2 === 0)) {
    expect(lines[at]).toMatchObject({ what: 'begin', attempt: 1 });
    expect(lines[at + 1]).toEqual({ ...lines[at], what: 'done' });
  }
  expect(first.length).toBe(2 * KEYS);
  expect(inverted(lines)).toEqual([]);
  expect(await second.stop()).toEqual({ code: 0, signal: null });
  // Stopped as asked, the next start finds nothing to be careful with.
  await scene.start().ready();
  expect(await daemon?.stop()).toEqual({ code: 0, signal: null });
});
