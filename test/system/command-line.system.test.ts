import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { createConnection } from 'mysql2/promise';
import type { ResultSetHeader } from 'mysql2/promise';
import { afterEach, describe, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import { identities } from '../support/ledger.ts';
import { freshAccount, startOwnMysql } from '../support/mysql.ts';
import { adminStatus, rowcall } from '../support/rowcall-process.ts';
import type { RowcallProcess } from '../support/rowcall-process.ts';
import { committedGtid } from '../support/workload-expected.ts';
import { Scene } from '../support/workload-scene.ts';
import type { SceneOptions } from '../support/workload-scene.ts';

const ORDERS = 'CREATE TABLE orders (id INT PRIMARY KEY, status VARCHAR(10) NOT NULL)';

let scene: Scene | undefined;

afterEach(async () => {
  await scene?.close();
});

async function openOrders(options: Partial<SceneOptions> = {}): Promise<Scene> {
  return Scene.open({ name: 'cli', callbacks: ['audit'], tables: [ORDERS], ...options });
}

async function sql(scene: Scene, statement: string, rows: number): Promise<void> {
  const connection = await createConnection({ uri: scene.serverUrl, database: scene.database });
  await connection.query('SET SESSION session_track_gtids = OWN_GTID');
  const [result] = await connection.query<ResultSetHeader>(statement);
  await connection.end();
  const kinds = Array.from({ length: rows }, () => 'row' as const);
  scene.expected.committed(committedGtid(result) ?? '', new Map([['orders', kinds]]));
}

/** Copies the configuration with one replacement in its text. */
function changedConfig(scene: Scene, from: string | RegExp, to: string): string {
  const file = join(dirname(scene.configFile), 'changed.yaml');
  writeFileSync(file, readFileSync(scene.configFile, 'utf8').replace(from, to));
  return file;
}

async function json(scene: Scene, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await scene.command(...args, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

interface LaneItem {
  readonly id: number;
  readonly callback: string;
  readonly key: string;
  readonly state: string;
  readonly depth: number;
  readonly attempts: number;
  readonly next_attempt_at: unknown;
  readonly last_error: string;
}

async function lanes(scene: Scene): Promise<readonly LaneItem[]> {
  return (await json(scene, 'lanes', 'list'))['items'] as LaneItem[];
}

describe('beside a running daemon', () => {
  test('status, ledger and position tell how far it is', async () => {
    scene = await openOrders();
    await scene.start().ready();
    await sql(scene, "INSERT INTO orders VALUES (1, 'NEW'), (2, 'NEW'), (3, 'NEW')", 3);
    await scene.allTaken(20_000);

    const settled = await eventually(async () => {
      const [row] = (await scene?.ledger()) ?? [];
      expect(row).toMatchObject({ callback: 'audit', read: 3, matched: 3, delivered: 3 });
      return row;
    });
    expect(settled === undefined ? ['no ledger'] : identities(settled)).toEqual([]);

    const status = await json(scene, 'status');
    expect(status).toMatchObject({
      name: 'cli',
      running: { capture: true, delivery: true },
      callbacks: [{ callback: 'audit', next: 3, end: 3, lag: 0, paused: false }],
    });
    const connection = await createConnection(scene.serverUrl);
    const [rows] = await connection.query('SELECT @@server_uuid AS uuid');
    await connection.end();
    const [{ uuid }] = rows as [{ uuid: string }];
    expect(JSON.stringify(status)).toContain(uuid);
    const position = await json(scene, 'position', 'show');
    expect(JSON.stringify(position)).toContain(uuid);

    for (const args of [['status'], ['ledger'], ['position', 'show'], ['lanes', 'list']]) {
      const { code, stdout, stderr } = await scene.command(...args);
      expect(code, stderr).toBe(0);
      expect(stdout.length).toBeGreaterThan(0);
    }
  });

  test('status tells of a callback whose endpoint is away, and of a daemon that is', async () => {
    scene = await openOrders({ callbackDeliver: { url: 'http://127.0.0.1:9' } });
    const daemon = scene.start();
    await daemon.ready();
    await sql(scene, "INSERT INTO orders VALUES (1, 'NEW')", 1);
    await eventually(async () => {
      const status = scene === undefined ? {} : await json(scene, 'status');
      expect(status).toMatchObject({ callbacks: [{ callback: 'audit', paused: true }] });
      expect(status).toMatchObject({
        capture: { binlog: { prepared_xid: null, forecast: { kept_ms: 604_800_000 } } },
      });
    });
    const text = await scene.command('status');
    expect(text.stdout).toMatch(
      /^ {2}binlog {3}needed from \S+\.\d+ on; (?:read well before|may be purged in)/m,
    );
    const elsewhere = changedConfig(scene, `listen: ${scene.admin}`, 'listen: 127.0.0.1:9');
    const asked = await rowcall(['status', '--json', '-c', elsewhere]);
    expect(JSON.parse(asked.stdout)).toMatchObject({
      running: { capture: true, delivery: true },
      callbacks: [{ callback: 'audit', paused: null }],
      capture: { binlog: { forecast: null } },
    });
    await daemon.kill();
    expect(await json(scene, 'status')).toMatchObject({
      running: { capture: false, delivery: false },
      callbacks: [{ callback: 'audit', paused: false }],
    });
  });

  test('position set tells what comes again and what is skipped before it does anything', async () => {
    scene = await openOrders();
    const daemon = scene.start();
    await daemon.ready();
    await sql(scene, "INSERT INTO orders VALUES (1, 'NEW')", 1);
    await scene.allTaken(20_000);
    const before = String((await json(scene, 'position', 'show'))['gtidSet']);
    await sql(scene, "INSERT INTO orders VALUES (2, 'NEW')", 1);
    await scene.allTaken(20_000);
    // Beside the daemon: a look that it does not feel.
    const shown = await scene.command('position', 'set', '--gtid', before);
    expect(shown.code, shown.stderr).toBe(0);
    expect(shown.stdout).toMatch(/^ {2}again {4}\S+ \(\d+ transactions?\)$/m);
    expect(shown.stdout).toMatch(/^ {2}skipped {2}nothing$/m);
    expect(shown.stdout).toContain('Nothing was changed.');
    expect(daemon.stderr).not.toContain('Capture lost its source');
    expect(await daemon.stop()).toEqual({ code: 0, signal: null });

    await sql(scene, "INSERT INTO orders VALUES (3, 'NEW')", 1);
    const latest = await scene.command('position', 'set', '--latest');
    expect(latest.stdout).toMatch(/^ {2}again {4}nothing$/m);
    expect(latest.stdout).toMatch(/^ {2}skipped {2}\S+ \(\d+ transactions?\)$/m);
    expect(latest.stdout).toContain(`rows ${scene.database}.orders 1`);
  });

  test('position set and reset change the place with --yes alone, and tell the way back', async () => {
    scene = await openOrders();
    const daemon = scene.start();
    await daemon.ready();
    await sql(scene, "INSERT INTO orders VALUES (1, 'NEW')", 1);
    await scene.allTaken(20_000);
    expect(await daemon.stop()).toEqual({ code: 0, signal: null });
    const before = String((await json(scene, 'position', 'show'))['gtidSet']);
    const timestamp = new Date().toISOString();
    await sql(scene, "INSERT INTO orders VALUES (2, 'NEW')", 1);

    const both = await scene.command('position', 'reset', '--dry-run', '--yes');
    expect(both).toMatchObject({ code: 2 });
    // source.start is latest.
    const dry = await scene.command('position', 'reset', '--dry-run');
    expect(dry.stdout).toContain(`rows ${scene.database}.orders 1`);
    expect((await json(scene, 'position', 'show'))['gtidSet']).toBe(before);
    const reset = await scene.command('position', 'reset', '--yes');
    expect(reset.stdout).toContain(
      `rowcall position set -c '${scene.configFile}' --gtid '${before}' --yes`,
    );
    expect((await json(scene, 'position', 'show'))['gtidSet']).not.toBe(before);

    const since = await scene.command('position', 'set', '--timestamp', timestamp, '--yes');
    expect(since.code, since.stderr).toBe(0);
    expect(since.stdout).toMatch(/^ {2}again {4}in the binlog: .*\.orders 1$/m);
    const later = await scene.command('position', 'set', '--timestamp', '2999-01-01T00:00:00Z');
    expect(later.stderr).toContain('has not come yet');
    const wrong = await scene.command('position', 'set', '--timestamp', 'yesterday');
    expect(wrong).toMatchObject({ code: 2 });
    scene.start();
    await scene.allTaken(20_000);
    expect(await scene.findings()).toEqual([]);
  });

  test('metrics, health and readiness are served', async () => {
    scene = await openOrders();
    await scene.start().ready();
    expect(await adminStatus(scene.admin, '/healthz')).toBe(200);
    expect(await adminStatus(scene.admin, '/metrics')).toBe(200);
    expect(await adminStatus(scene.admin, '/nothing')).toBe(404);
  });

  test('a failing key is a lane; lanes retry tries its head at once', async () => {
    let failing = true;
    scene = await openOrders({
      react: (arrival) =>
        failing && arrival.key === '{"id":2}' ? { kind: 'fail', status: 500 } : { kind: 'take' },
      callbackOptions: { retry: { initial_interval: '1h', maximum_interval: '1h' } },
    });
    await scene.start().ready();
    await sql(scene, "INSERT INTO orders VALUES (1, 'NEW'), (2, 'NEW')", 2);
    await sql(scene, "UPDATE orders SET status = 'PAID'", 2);
    const [lane] = await eventually(async () => {
      const found = scene === undefined ? [] : await lanes(scene);
      expect(found).toMatchObject([{ callback: 'audit', key: '{"id":2}', depth: 2, attempts: 1 }]);
      return found;
    });
    expect(lane?.state).toBe('retrying');
    expect(lane?.last_error).toContain('500');
    expect(scene.journal.taken('audit').size).toBe(2);

    const id = String(lane?.id);
    const shown = await scene.command('lanes', 'show', id);
    expect(shown.code, shown.stderr).toBe(0);
    expect(shown.stdout).toContain('orders');

    failing = false;
    const retried = await scene.command('lanes', 'retry', id);
    expect(retried.code, retried.stderr).toBe(0);
    await scene.allTaken(20_000);
    await eventually(async () => {
      expect(scene === undefined ? undefined : await lanes(scene)).toEqual([]);
    });
    expect(await scene.findings()).toEqual([]);
    expect((await scene.command('lanes', 'retry', '999999')).code).toBe(2);
  });
});

describe('what comes', () => {
  test('is shown by tail as it comes, with its value, and by callback', async () => {
    const here = await openOrders({
      callbackOptions: { when: 'after.status == "PAID"' },
    });
    scene = here;
    await here.start().ready();
    let tailed: Awaited<ReturnType<typeof here.command>> | undefined;
    const asked = here.command('tail', '--callback', 'audit', '--limit', '2', '--json');
    const tailing = asked.then((result) => {
      tailed = result;
    });
    let id = 0;
    await eventually(
      async () => {
        id += 2;
        await sql(here, `INSERT INTO orders VALUES (${id}, 'NEW'), (${id + 1}, 'PAID')`, 2);
        expect(tailed).toBeDefined();
      },
      { timeoutMs: 60_000, intervalMs: 200 },
    );
    await tailing;
    expect(tailed?.code, tailed?.stderr).toBe(0);
    const lines = (tailed?.stdout ?? '').trim().split('\n');
    const events = lines.map((line) => JSON.parse(line) as { key: string; value: string });
    const keys = events.map(({ key }) => (JSON.parse(key) as { id: number }).id);
    expect(keys[0] ?? 0).toBeGreaterThan(1);
    expect(keys[1]).toBe((keys[0] ?? 0) + 2);
    for (const { value } of events) expect(value).toContain('"status":"PAID"');
  });
});

describe('what became of an event', () => {
  test('is told by events, explain and audit, and a dead letter goes again', async () => {
    let failing = true;
    scene = await openOrders({
      react: ({ key }) =>
        failing && key === '{"id":2}' ? { kind: 'fail', status: 500 } : { kind: 'take' },
      callbackOptions: { retry: { maximum_attempts: 1 }, on_exhausted: 'dead-letter' },
    });
    await scene.start().ready();
    await sql(scene, "INSERT INTO orders VALUES (1, 'NEW'), (2, 'NEW')", 2);
    await eventually(async () => {
      expect(await scene?.ledger()).toMatchObject([{ delivered: 1, dead: 1 }]);
    });

    const key = ['--key', '{"id":2}'];
    const found = await json(scene, 'events', ...key, '--table', `${scene.database}.orders`);
    expect(found).toMatchObject({ items: [{ op: 'insert', key: '{"id":2}' }], next: null });
    const [{ id, binlog }] = found['items'] as [{ id: string; binlog: { gtid: string } }];
    expect(id.startsWith(`${binlog.gtid}:`)).toBe(true);
    expect(await json(scene, 'events', '--gtid', binlog.gtid)).toMatchObject({
      items: [{ key: '{"id":1}' }, { key: '{"id":2}' }],
    });
    const life = await scene.command('events', id);
    expect(life.stdout, life.stderr).toMatch(/^audit +dead +1 /m);
    expect(await json(scene, 'explain', id, '--callback', 'audit')).toMatchObject({
      ...{ outcome: 'dead', dead_letter: 1 },
    });

    failing = false;
    const many = ['dead-letters', 'resend', '--callback', 'audit', '--reason', 'it is mended'];
    const unasked = await scene.command(...many);
    expect(unasked).toMatchObject({ code: 2 });
    expect(unasked.stderr).toContain('1 dead letters of audit would be sent again');
    expect(await json(scene, ...many, '--yes', '--wait')).toMatchObject({
      ...{ id: 1, state: 'done', total: 1, delivered: 1, failed: 0 },
    });
    expect(await json(scene, 'dead-letters', 'list')).toMatchObject({ items: [] });
    expect(await json(scene, 'audit')).toMatchObject({
      items: [{ actor: expect.stringMatching(/^cli:/) as string, reason: 'it is mended' }],
    });
    await scene.allTaken(20_000);
  });
});

describe('exit codes', () => {
  test('validate names every error at once with line and column, and ends with 2', async () => {
    scene = await openOrders();
    const good = await scene.command('validate');
    expect(good, good.stderr).toMatchObject({ code: 0 });

    const file = changedConfig(scene, /^callbacks:/m, 'calbacks_too: 1\ncallbacks:');
    writeFileSync(file, readFileSync(file, 'utf8').replace('heartbeat: 1s', 'heartbeat: soon'));
    const { code, stderr, stdout } = await rowcall(['validate', '-c', file]);
    expect(code).toBe(2);
    const told = stderr + stdout;
    expect(told).toMatch(/changed\.yaml:\d+:\d+ .*heartbeat/);
    expect(told).toMatch(/changed\.yaml:\d+:\d+ .*calbacks_too/);
  });

  test('wrong usage ends with 2', async () => {
    expect((await rowcall(['walk'])).code).toBe(2);
    expect((await rowcall(['run', '-c', '/nowhere/rowcall.yaml'])).code).toBe(2);
  });

  test('a wrong password ends with 3, and the password is not told', async () => {
    scene = await openOrders();
    const file = changedConfig(scene, /(mysql:\/\/[^:]+:)[^@]+@/, '$1wrong-password-7@');
    const { code, stderr } = await rowcall(['run', '-c', file]);
    expect(code, stderr).toBe(3);
    expect(stderr).toContain('SOURCE_ACCESS_DENIED');
    expect(stderr).not.toContain('wrong-password-7');
  });

  test('an unfit source ends with 3 and tells all findings at once, each with its SQL', async () => {
    const server = await startOwnMysql({
      fast: true,
      args: ['--binlog-format=MIXED', '--binlog-row-metadata=MINIMAL'],
    });
    scene = await openOrders({ serverUrl: server.url });
    const poor = await freshAccount(['USAGE ON *.*'], server.url);
    const file = changedConfig(scene, /mysql:\/\/\S+/, poor);
    const { code, stderr } = await rowcall(['run', '-c', file]);
    expect(code, stderr).toBe(3);
    for (const told of ['binlog_format', 'binlog_row_metadata', 'REPLICATION SLAVE', 'GRANT']) {
      expect(stderr).toContain(told);
    }
  });
});

describe('stopping', () => {
  let daemon: RowcallProcess;

  test('SIGTERM lets what is in flight end, and exits 0', async () => {
    scene = await openOrders({ react: () => ({ kind: 'take', afterMs: 300 }) });
    daemon = scene.start();
    await daemon.ready();
    await sql(scene, "INSERT INTO orders VALUES (1, 'NEW')", 1);
    await eventually(() => {
      expect(scene?.journal.arrived('audit')).toBe(1);
    });
    expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
    expect(scene.journal.taken('audit').size).toBe(1);
    expect(await scene.ledger()).toMatchObject([{ delivered: 1 }]);
    expect(scene.journal.repeats('audit')).toBe(0);
  });

  test('a second signal leaves at once', async () => {
    scene = await openOrders({
      react: () => ({ kind: 'hang' }),
      callbackDeliver: { timeout: '60s' },
    });
    daemon = scene.start();
    await daemon.ready();
    await sql(scene, "INSERT INTO orders VALUES (1, 'NEW')", 1);
    await eventually(() => {
      expect(scene?.journal.arrived('audit')).toBe(1);
    });
    expect(daemon.stderr).toContain('audit may take 1m, but a stop waits only');
    daemon.signal('SIGTERM');
    await eventually(async () => {
      // Not ready any more: the first signal was heard.
      expect(await adminStatus(scene?.admin ?? '', '/readyz')).not.toBe(200);
    });
    expect(daemon.running).toBe(true);
    const beforeMs = performance.now();
    daemon.signal('SIGTERM');
    expect((await daemon.exited).code).toBe(143);
    expect(daemon.stderr).toContain('Leaving at once (SIGTERM)');
    // Below the ten seconds of the scene's shutdown_timeout.
    expect(performance.now() - beforeMs).toBeLessThan(8_000);
  });
});
