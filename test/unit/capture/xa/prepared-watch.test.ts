import { expect, it } from 'vitest';
import { Place } from '../../../../src/capture/append/place.ts';
import { PreparedWatch } from '../../../../src/capture/xa/prepared-watch.ts';
import type { PreparedTransaction } from '../../../../src/position.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';

const UUID = '00000000-0000-0000-0000-00000000000a';
const START_S = 1_700_000_000;

function prepared(xid: string, timestamp: number): PreparedTransaction {
  const at = { file: 'binlog.000001', position: 157, fileCreated: 1 };
  return { xid, gtid: `${UUID}:7`, commitUs: null, timestamp, captured: true, at };
}

it('warns once of each transaction that is prepared for more than ten minutes', () => {
  const place = new Place(
    {
      ...{ version: 3, serverUuid: UUID, gtidSet: `${UUID}:1-7`, file: 'binlog.000001' },
      ...{ position: 900, fileCreated: 1, last: null, open: [], topics: {}, routing: 'r' },
      prepared: [prepared('old', START_S)],
    },
    { uuid: UUID, routing: 'r' },
  );
  let nowMs = START_S * 1000;
  const told: object[] = [];
  const warn = (fields: object): void => {
    told.push(fields);
  };
  const clock = { ...systemClock, now: () => nowMs };
  const watch = new PreparedWatch({ place, clock, logger: { ...silentLogger, warn } });
  watch.look();
  expect(told).toEqual([]);
  nowMs += 601_000;
  place.prepared.add(prepared('new', nowMs / 1000));
  watch.look();
  watch.look();
  const old = { xid: 'old', gtid: `${UUID}:7`, place: 'binlog.000001:157', openSeconds: 601 };
  expect(told).toEqual([old]);
  place.prepared.delete('old');
  nowMs += 600_000;
  watch.look();
  watch.look();
  expect(told).toMatchObject([old, { xid: 'new', openSeconds: 600 }]);
});
