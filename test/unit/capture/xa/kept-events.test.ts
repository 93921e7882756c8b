import { expect, it } from 'vitest';
import type { BinlogEvent } from '../../../../src/capture/binlog/binlog-event.ts';
import { KeptEvents } from '../../../../src/capture/xa/kept-events.ts';

const KIB = 1024;

function event(bytes: number, body = Buffer.from('rows')): BinlogEvent {
  const at = { file: 'binlog.000001', position: 4, endPosition: 4 + bytes, timestamp: 1 };
  const rows = { type: 'rows', operation: 'insert', tableId: 1, endOfStatement: true } as const;
  return { ...rows, body, ...at, serverId: 1, bytes };
}

function keep(kept: KeptEvents, xid: string, ...events: BinlogEvent[]): void {
  for (const [index, one] of events.entries()) {
    if (index === 0) kept.begin(one);
    else kept.add(one);
  }
  kept.end(xid);
}

async function read(kept: KeptEvents, xid: string): Promise<number | null> {
  const stream = kept.stream(xid);
  if (stream === null) return null;
  const events = await stream.next();
  expect(await stream.next()).toEqual([]);
  return events.length;
}

it('a small transaction is there wholly, with bytes of its own', async () => {
  const kept = new KeptEvents();
  const socket = Buffer.from('rows');
  keep(kept, 'x', event(100, socket), event(100));
  socket.fill(0);
  const [first] = (await kept.stream('x')?.next()) ?? [];
  expect(first).toMatchObject({ body: Buffer.from('rows') });
  expect(await read(kept, 'x')).toBe(2);
  kept.drop('x');
  expect(await read(kept, 'x')).toBeNull();
});

it('a large one is not there at all, nor what is added behind', async () => {
  const kept = new KeptEvents();
  keep(kept, 'x', event(100), event(300 * KIB), event(100));
  expect(await read(kept, 'x')).toBeNull();
});

it('the oldest go where there is no room, and a second one of an xid replaces the first', async () => {
  const kept = new KeptEvents();
  for (let index = 0; index < 20; index += 1) keep(kept, `x${index}`, event(250 * KIB));
  expect(await read(kept, 'x3')).toBeNull();
  expect(await read(kept, 'x4')).toBe(1);
  keep(kept, 'x4', event(1), event(1), event(1));
  expect(await read(kept, 'x4')).toBe(3);
  keep(kept, 'x19', event(300 * KIB));
  expect(await read(kept, 'x19')).toBeNull();
});
