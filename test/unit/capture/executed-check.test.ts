import { expect, it } from 'vitest';
import type { BinlogEvent } from '../../../src/capture/binlog/binlog-event.ts';
import { ExecutedCheck } from '../../../src/capture/executed-check.ts';
import { executedGtids } from '../../../src/executed-gtids.ts';
import { GtidSet, parseGtid } from '../../../src/gtid-set.ts';
import type { FilePosition } from '../../../src/position.ts';

const UUID = '00000000-0000-0000-0000-00000000000a';
const END = { file: 'b.000002', position: 500 };

/** A stream that stands where it is told, behind a format description of the first file. */
function scene(ours: string): {
  readonly check: ExecutedCheck;
  readonly at: (place: FilePosition) => Promise<unknown>;
  readonly read: (gtid: string) => void;
  readonly within: { open: boolean };
} {
  let place: FilePosition = { file: 'b.000001', position: 4 };
  const gtidSet = executedGtids(ours, UUID);
  const within = { open: false };
  const format = { type: 'format-description', file: 'b.000001' } as BinlogEvent;
  const check = new ExecutedCheck({
    stream: {
      next: () => Promise.resolve([format]),
      get place() {
        return place;
      },
    },
    place: {
      gtidSet,
      get transaction() {
        return (within.open ? {} : null) as null;
      },
    },
    executed: GtidSet.parse(`${UUID}:1-4`),
    end: END,
    find: (missing, newest) => {
      expect([missing.toString(), newest]).toEqual([`${UUID}:3`, 'b.000001']);
      return Promise.resolve({ file: 'b.000001', position: 77 });
    },
  });
  return {
    check,
    within,
    at: (next) => {
      place = next;
      return check.next();
    },
    read: (gtid) => {
      gtidSet.add(parseGtid(gtid));
    },
  };
}

const NOT_SENT = { code: 'GTIDS_NOT_SENT', place: 'b.000001:77' };

it('says nothing before the end that the log had at the connect, nor within a transaction', async () => {
  const { check, at, within } = scene(`${UUID}:1-2:4`);
  // The place is none before the first file is named.
  await at({ file: '', position: 4 });
  await at({ file: 'b.000001', position: 9_999 });
  await at({ ...END, position: END.position - 1 });
  within.open = true;
  await at(END);
  within.open = false;
  await expect(check.next()).rejects.toMatchObject(NOT_SENT);
});

it('finds what is missing at that end, behind it, and in a later file', async () => {
  for (const place of [
    END,
    { ...END, position: END.position + 1 },
    { file: 'b.000003', position: 4 },
  ]) {
    const { check, at } = scene(`${UUID}:1-2:4`);
    await check.next();
    await expect(at(place)).rejects.toMatchObject(NOT_SENT);
  }
});

it('is content once all has come, in whatever order, and asks no more', async () => {
  const { check, at, read } = scene(`${UUID}:1-2`);
  await check.next();
  read(`${UUID}:4`);
  await at({ ...END, position: 100 });
  read(`${UUID}:3`);
  await at(END);
  expect(await at({ file: 'b.000009', position: 4 })).toHaveLength(1);
});
