import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../../src/config/load.ts';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';
import { openSqliteState } from '../../../../src/state/sqlite/sqlite-state.ts';
import { openLog } from '../../../../src/stores.ts';
import { VERSION } from '../../../../src/version.ts';
import { threeSettlements } from '../../../support/settlement-samples.ts';
import { tempDir } from '../../../support/temp-dir.ts';

const CONFIG = `
name: shop
source: { url: 'mysql://rowcall@db' }
tables: [{ match: shop.* }]
log: { path: log, max_size: 3GiB, retention: { size: 1GiB } }
state: { path: state.db }
callbacks:
  - name: audit
    tables: [shop.orders]
    deliver: { module: ./audit.mjs }
`;

let file: string;

beforeEach(() => {
  file = join(tempDir(), 'rowcall.yaml');
  writeFileSync(file, CONFIG);
});

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const code = await runCli(argv, {
    out: (some) => (out += some),
    err: (some) => (err += some),
    terminal: false,
    env: {},
    signal: new AbortController().signal,
  });
  return { code, out, err };
}

/** A log with one topic that nobody has written to, and a callback that has settled nothing of it. */
async function makeStores(): Promise<void> {
  const config = await loadConfig(file, {});
  const log = await openLog(config, { clock: systemClock, logger: silentLogger, create: true });
  const writer = await log.openWriter('shop');
  const [topic] = await writer.createTopics([{ name: 'shop.orders', partitions: 1 }]);
  await writer.close();
  await log.close();
  const state = await openSqliteState({ path: config.state.path });
  const at = { callback: 'audit', topic: 'shop.orders', partition: 0 };
  await state.openCursors([{ ...at, topicId: topic?.id ?? '', startOffset: 0, next: 0 }]);
  await state.close();
}

describe('rowcall', () => {
  it.each(['--version', '-V'])('tells its version by %s', async (option) => {
    expect(await run(option)).toEqual({ code: 0, out: `${VERSION}\n`, err: '' });
  });
});

describe('rowcall ledger', () => {
  it('says how many records were counted again', async () => {
    await makeStores();
    const { code, out } = await run('ledger', '-c', file, '--recount');
    expect(code).toBe(0);
    expect(out).toContain('Recounted 0 records of the log: the same.\nThe books balance.\n');
  });

  it('tells a program whether the books balance, and what was counted again when asked', async () => {
    await makeStores();
    const items = [{ callback: 'audit', topic: 'shop.orders', partition: 0, read: 0 }];
    const plain = JSON.parse((await run('ledger', '-c', file, '--json')).out) as object;
    expect(plain).toMatchObject({ items, balanced: true });
    expect(plain).not.toHaveProperty('recounted');
    const { out } = await run('ledger', '-c', file, '--json', '--recount');
    expect(JSON.parse(out)).toMatchObject({ items, balanced: true, recounted: 0 });
  });
});

describe('rowcall ledger --recount after a change', () => {
  const version = (when: string | null) => ({
    ...{ name: 'audit', shown: JSON.stringify({ tables: ['shop.*'], when }), written: null },
    ...{ digest: String(when), actor: 'file', reason: 'reload', atMs: Date.UTC(2026, 0, 31) },
  });

  /** Two records, of which the books say that none matched. */
  async function readTwo(versions: readonly (string | null)[]): Promise<void> {
    await makeStores();
    const config = await loadConfig(file, {});
    const log = await openLog(config, { clock: systemClock, logger: silentLogger, create: false });
    const writer = await log.openWriter('shop');
    const records = [1, 2].map((id) => ({
      ...{ key: `{"id":${id}}`, value: Buffer.from('{}'), timestampMs: 0, id: `id-${id}` },
      ...{ table: 'shop.orders', operation: 'c' as const },
    }));
    await writer.append([{ topic: 'shop.orders', partition: 0, records }], 'c');
    await writer.close();
    await log.close();
    const state = await openSqliteState({ path: config.state.path });
    const at = { callback: 'audit', topic: 'shop.orders', partition: 0 };
    const counts = { read: 2, filtered: 2 };
    await state.commit([{ type: 'progress', ...at, next: 2, beyond: [], counts }]);
    for (const when of versions) await state.noteVersion(version(when));
    await state.close();
  }

  it('names the version that changed the selection, and calls nothing wrong', async () => {
    await readTwo(['after.id > 2', null]);
    const { code, out } = await run('ledger', '-c', file, '--recount');
    expect(code).toBe(0);
    expect(out).toContain(
      'audit shop.orders/0 says 2 read, 0 matched; the log has 2 and 2 by the selection of now: it was changed in version 2 (2026-01-31T00:00:00.000Z)',
    );
  });

  it('is a defect where the selection has always been the same', async () => {
    await readTwo([null]);
    const { code, err } = await run('ledger', '-c', file, '--recount');
    expect(code).toBe(1);
    expect(err).toContain('the log has 2 and 2');
  });
});

describe('rowcall status', () => {
  it('says of which callbacks statements of on_settled wait, and why they fail', async () => {
    await makeStores();
    expect((await run('status', '-c', file)).out).not.toContain('on_settled');
    const state = await openSqliteState({ path: (await loadConfig(file, {})).state.path });
    await threeSettlements(state);
    await state.close();
    const { out } = await run('status', '-c', file);
    expect(out).toMatch(/^on_settled of +waiting +failing +oldest +last error$/m);
    expect(out).toMatch(/^payment +2 +1 +\d+ d .* MySQL: Unknown column 'paid'/m);
    const json = JSON.parse((await run('status', '-c', file, '--json')).out) as object;
    expect(json).toMatchObject({
      settlements: [
        { callback: 'mail', waiting: 1, failing: 0, last_error: null },
        { callback: 'payment', waiting: 2, failing: 1, oldest_at: '1970-01-01T00:00:01.000Z' },
      ],
    });
  });

  it('counts one topic as one, and tells large sizes in GiB', async () => {
    await makeStores();
    const { code, out, err } = await run('status', '-c', file);
    expect(code, err).toBe(0);
    expect(out).toMatch(/ MiB of 3\.0 GiB, 1 topic\n/);
  });
});
