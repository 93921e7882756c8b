import { readdirSync, readFileSync, renameSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { runCli } from '../../src/operate/cli/cli.ts';
import { gather } from '../support/cli.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';
import { RowcallProcess } from '../support/rowcall-process.ts';
import { Scene } from '../support/workload-scene.ts';

const TABLE = 'CREATE TABLE orders (id INT PRIMARY KEY)';

let scene: Scene | undefined;

afterEach(async () => {
  await scene?.close();
});

interface Told {
  readonly fit: boolean;
  /** Those that are errors. */
  readonly errors: readonly { part: string; check: string; value: string; cure: string }[];
}

async function doctor(configFile: string): Promise<Told> {
  const { code, out, err } = await gather((io) =>
    runCli(['doctor', '--json', '-c', configFile], io),
  );
  const told = JSON.parse(out) as {
    fit: boolean;
    findings: (Told['errors'][number] & { severity: string })[];
  };
  const errors = told.findings.filter(({ severity }) => severity === 'error');
  expect(code, err).toBe(errors.length === 0 ? 0 : 3);
  return { fit: told.fit, errors };
}

/** What doctor says is what the start says: the same code, with the same cure. */
async function stops(
  of: Scene,
  { part, value }: { readonly part: string; readonly value: string },
  configFile = of.configFile,
): Promise<void> {
  const { fit, errors } = await doctor(configFile);
  expect(errors).toMatchObject([{ part, value }]);
  expect(fit).toBe(false);
  const daemon = new RowcallProcess({ configFile, admin: of.admin });
  const { code } = await daemon.exited;
  expect(code).toBe(3);
  expect(daemon.stderr).toContain(value);
  // Within a line of JSON.
  expect(daemon.stderr).toContain(JSON.stringify(errors[0]?.cure).slice(1, -1));
}

async function sql(of: Scene, ...statements: readonly string[]): Promise<void> {
  await withConnection(of.serverUrl, async (connection) => {
    for (const statement of statements) await connection.query(statement);
  });
}

/** A scene of which one row was delivered, at rest. */
async function delivered(name: string): Promise<Scene> {
  const { url } = await startOwnMysql({ fast: true });
  scene = await Scene.open({ name, callbacks: ['audit'], serverUrl: url, tables: [TABLE] });
  const daemon = scene.start();
  await daemon.ready();
  expect((await doctor(scene.configFile)).errors).toEqual([]);
  await sql(scene, `INSERT INTO ${scene.database}.orders VALUES (1)`);
  const { journal } = scene;
  await journal.until(() => journal.taken('audit').size === 1, AbortSignal.timeout(30_000));
  expect(await doctor(scene.configFile)).toEqual({ fit: true, errors: [] });
  await daemon.stop();
  return scene;
}

/** Moves the files of a store out of the way; the returned function brings them back, in the place of what is there. */
function takeAway(of: Scene, store: string): () => void {
  const folder = join(dirname(of.configFile), 'data');
  const away = join(folder, `away-${store}`);
  const aside = join(folder, `aside-${store}`);
  const move = (from: string, to: string): void => {
    mkdirSync(to);
    for (const file of readdirSync(from)) {
      if (file.startsWith(`${store}.db`)) renameSync(join(from, file), join(to, file));
    }
  };
  move(folder, away);
  return () => {
    move(folder, aside);
    for (const file of readdirSync(away)) renameSync(join(away, file), join(folder, file));
  };
}

test('doctor finds the place, the log or the state that the next start would stop at', async () => {
  const at = await delivered('stopped-ahead');
  const restoreState = takeAway(at, 'state');
  await stops(at, { part: 'state', value: 'STATE_LOST' });
  restoreState();
  const restoreLog = takeAway(at, 'events');
  await stops(at, { part: 'log', value: 'TOPIC_RECREATED' });
  restoreLog();
  expect((await doctor(at.configFile)).errors).toEqual([]);

  const [insert, flush] = [`INSERT INTO ${at.database}.orders VALUES (2)`, 'FLUSH BINARY LOGS'];
  await sql(at, insert, flush, `DELETE FROM ${at.database}.orders WHERE id = 2`, flush);
  await withConnection(at.serverUrl, async (connection) => {
    const [files] = await connection.query('SHOW BINARY LOGS');
    const newest = (files as { Log_name: string }[]).at(-1)?.Log_name ?? '';
    await connection.query('PURGE BINARY LOGS TO ?', [newest]);
  });
  await stops(at, { part: 'source', value: 'POSITION_PURGED' });
  await sql(at, 'RESET BINARY LOGS AND GTIDS');
  await stops(at, { part: 'source', value: 'GTID_NOT_SUBSET' });
});

test('doctor finds a start that cannot be had, before anything was captured', async () => {
  const { url } = await startOwnMysql({ fast: true });
  scene = await Scene.open({ name: 'no-start', callbacks: [], serverUrl: url, tables: [TABLE] });
  const text = readFileSync(scene.configFile, 'utf8');
  for (const [time, value] of [
    ['2001-01-31T08:00:00Z', 'POSITION_PURGED'],
    ['2100-01-31T08:00:00Z', 'POSITION_UNPROVEN'],
  ] as const) {
    const file = join(dirname(scene.configFile), `${value}.yaml`);
    writeFileSync(file, text.replace('heartbeat: 1s', `start: { timestamp: ${time} }`), {
      mode: 0o600,
    });
    await stops(scene, { part: 'source', value }, file);
  }
});
