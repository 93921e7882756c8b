import { describe, expect, it } from 'vitest';
import type { BinlogEvent } from '../../../../src/capture/binlog/binlog-event.ts';
import type { BinlogStream } from '../../../../src/capture/binlog/binlog-stream.ts';
import { FarStream, isFar } from '../../../../src/capture/binlog/far-place.ts';
import { GtidSet } from '../../../../src/gtid-set.ts';
import type { FilePosition } from '../../../../src/position.ts';

const GIB_4 = 2 ** 32;
const FILE = 'binlog.000007';
const FROM = { file: FILE, position: GIB_4 + 100 };

function event(position: number, endPosition: number, file = FILE): BinlogEvent {
  const header = { file, position, endPosition, timestamp: 1, serverId: 1, bytes: 50 };
  return { type: 'harmless', name: 'IGNORABLE', ...header };
}

const AT_START = { file: FILE, position: 4, endPosition: 4, timestamp: 1, serverId: 1, bytes: 50 };
const HEAD: readonly BinlogEvent[] = [
  { type: 'rotate', nextFile: FILE, nextPosition: 4, artificial: true, ...AT_START },
  {
    ...{ type: 'format-description', serverVersion: '9.7.4', created: 7, checksum: 'crc32' },
    ...{ ...AT_START, endPosition: 126 },
  },
];

/** Ends, once it has given the batches. */
class Batches implements BinlogStream {
  readonly #batches: (readonly BinlogEvent[])[];
  place: FilePosition = { file: FILE, position: 4 };

  constructor(...batches: (readonly BinlogEvent[])[]) {
    this.#batches = batches;
  }

  next(): Promise<readonly BinlogEvent[]> {
    const events = this.#batches.shift() ?? [];
    const last = events.at(-1);
    if (last !== undefined) this.place = { file: last.file, position: last.endPosition };
    return Promise.resolve(events);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

async function read(...batches: (readonly BinlogEvent[])[]): Promise<BinlogEvent[]> {
  const stream = new FarStream(new Batches(...batches), FROM);
  const all: BinlogEvent[] = [];
  for (;;) {
    const events = await stream.next();
    if (events.length === 0) return all;
    all.push(...events);
  }
}

const UNPROVEN = expect.objectContaining({
  code: 'POSITION_UNPROVEN',
  place: `${FILE}:${FROM.position}`,
}) as Error;

describe('a place beyond 4 GiB', () => {
  it('is far where no command can name it', () => {
    expect(isFar(FROM)).toBe(true);
    expect(isFar({ ...FROM, position: GIB_4 })).toBe(true);
    expect(isFar({ ...FROM, position: GIB_4 - 1 })).toBe(false);
    expect(isFar({ ...FROM, gtids: true })).toBe(false);
    expect(isFar({ gtidSet: new GtidSet() })).toBe(false);
  });

  it('is read from as if the server had been told it', async () => {
    const events = await read(
      [...HEAD, event(126, 500)],
      [event(500, GIB_4 - 1), event(GIB_4 - 1, FROM.position)],
      [event(FROM.position, FROM.position + 50)],
      [event(FROM.position + 50, FROM.position + 60), event(4, 126, 'binlog.000008')],
    );
    const at = { position: FROM.position, endPosition: FROM.position };
    expect(events).toEqual([
      { ...HEAD[0], ...at, nextPosition: FROM.position },
      { ...HEAD[1], ...at },
      event(FROM.position, FROM.position + 50),
      event(FROM.position + 50, FROM.position + 60),
      event(4, 126, 'binlog.000008'),
    ]);
  });

  it('of which several events of a compressed transaction end there, none is handed on', async () => {
    const inner = event(FROM.position - 90, FROM.position);
    expect(await read([inner, inner], [event(FROM.position, FROM.position + 1)])).toEqual([
      event(FROM.position, FROM.position + 1),
    ]);
  });

  it('may be the end of the log', async () => {
    expect(await read([event(500, FROM.position)])).toEqual([]);
  });

  it.each([
    ['lies within an event', [event(500, FROM.position + 1)]],
    ['is behind the end of the log', [event(500, FROM.position - 1)]],
    [
      'is behind the end of the file',
      [event(500, FROM.position - 1), event(4, 9, 'binlog.000008')],
    ],
    ['has a gap before it', [event(500, 600), event(FROM.position + 1, FROM.position + 2)]],
  ])('that %s is no place', async (_, events) => {
    await expect(read(events)).rejects.toThrow(UNPROVEN);
  });
});
