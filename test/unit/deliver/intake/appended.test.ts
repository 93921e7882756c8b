import { describe, expect, it } from 'vitest';
import { formatCheckpoint } from '../../../../src/checkpoint.ts';
import { Appended } from '../../../../src/deliver/intake/appended.ts';
import { News } from '../../../../src/deliver/intake/news.ts';
import type { Checkpoint } from '../../../../src/position.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

const checkpoint = (gtidSet: string | null, file: string, position: number): string => {
  const value: Checkpoint = {
    ...{ version: 3, serverUuid: UUID, gtidSet, file, position, fileCreated: 1, last: null },
    ...{ open: [], prepared: [], topics: {}, routing: 'r' },
  };
  return formatCheckpoint(value);
};

/** Whether it is whole once the log has the first checkpoint, and the second. */
async function wholeAfter(id: string, ...checkpoints: (string | null)[]): Promise<boolean[]> {
  const news = new News();
  let text: string | null = null;
  const log = { readCheckpoint: () => Promise.resolve(text) };
  let whole = false;
  const stop = new AbortController();
  const waiting = new Appended(log, 'shop', { news, signal: stop.signal }).whole(id).then(
    () => (whole = true),
    () => false,
  );
  const seen: boolean[] = [];
  for (const next of checkpoints) {
    text = next;
    news.announce();
    // As often as it looks.
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
    seen.push(whole);
  }
  stop.abort(new Error('over'));
  await waiting;
  return seen;
}

describe('an append is whole', () => {
  it.each([
    ['a GTID', `${UUID}:7:shop/orders:0`],
    ['a tagged GTID', `${UUID}:nightly:7:shop/orders:0`],
  ])('once the checkpoint has %s', async (_what, id) => {
    const source = id.replace(/:7:.*/, '');
    expect(
      await wholeAfter(
        id,
        null,
        checkpoint(`${source}:1-6`, 'b.000009', 999),
        checkpoint(`${source}:1-7`, 'b.000001', 4),
      ),
    ).toEqual([false, false, true]);
  });

  it('once the checkpoint is behind the place of a transaction without a GTID', async () => {
    expect(
      await wholeAfter(
        `${UUID}:bin%2Elog%2E999999:1700000000:500:shop/audit%2Elog:0`,
        checkpoint(null, 'bin.log.999999', 500),
        checkpoint(null, 'bin.log.1000000', 4),
      ),
    ).toEqual([false, true]);
  });
});
