import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { CheckpointTable } from '../../../../src/log/embedded/checkpoint-table.ts';
import { openDatabase } from '../../../../src/log/embedded/database.ts';
import { tempDir } from '../../../support/temp-dir.ts';

const open: DatabaseSync[] = [];
afterEach(() => {
  for (const db of open.splice(0)) db.close();
});

function opened(path: string, create = true): DatabaseSync {
  const db = openDatabase(path, create);
  open.push(db);
  return db;
}

const newFile = (): string => join(tempDir(), 'events.db');

/** As a checkpoint is: what changes stands in front, and the topics behind, which may have any characters. */
function checkpoint(position: string, topics: number, name = 'shop.öl😀'): string {
  const list = Array.from({ length: topics }, (_, i) => `"${name}.${i}":{"id":"${i}"}`);
  return `{"position":${position},"last":"${position}","routing":"r","topics":{${list.join(',')}}}`;
}

function tails(db: DatabaseSync): { readonly rows: number; readonly characters: number } {
  const row = db
    .prepare('SELECT COUNT(*) AS n, TOTAL(LENGTH(text)) AS bytes FROM checkpoint_tails')
    .get();
  return { rows: Number(row?.['n']), characters: Number(row?.['bytes']) };
}

function head(db: DatabaseSync): number {
  const row = db.prepare("SELECT LENGTH(checkpoint) AS n FROM checkpoints WHERE name = 'a'").get();
  return Number(row?.['n']);
}

describe('a checkpoint in the file', () => {
  it('is, whatever was saved, rolled back, opened anew or saved beside it, the last one that was committed', () => {
    const step = fc.record({
      name: fc.constantFrom('a', 'b'),
      position: fc.stringMatching(/^[0-9]{1,90}$/),
      topics: fc.constantFrom(0, 1, 6000, 6000, 6000, 6001, 9000),
      topic: fc.constantFrom('shop.öl😀', 'shop.öl😀', '😀'),
      then: fc.constantFrom('commit', 'commit', 'commit', 'roll back', 'open anew', 'by another'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const path = newFile();
        let db = opened(path);
        let table = new CheckpointTable(db);
        const other = opened(path);
        const beside = new CheckpointTable(other);
        const last = new Map<string, string>();
        for (const { name, position, topics, topic, then } of steps) {
          const text = checkpoint(position, topics, topic);
          const [writer, its] = then === 'by another' ? [other, beside] : [db, table];
          writer.exec('BEGIN IMMEDIATE');
          its.save(name, text);
          writer.exec(then === 'roll back' ? 'ROLLBACK' : 'COMMIT');
          if (then !== 'roll back') last.set(name, text);
          if (then === 'open anew') {
            db = opened(path);
            table = new CheckpointTable(db);
          }
          for (const one of ['a', 'b']) {
            expect(table.read(one) === (last.get(one) ?? null)).toBe(true);
            expect(beside.read(one) === (last.get(one) ?? null)).toBe(true);
          }
        }
        for (const one of open.splice(0)) one.close();
      }),
      { numRuns: 25 },
    );
  });

  it('writes the topics of a long one once, and again only when they change', () => {
    const db = opened(newFile());
    const table = new CheckpointTable(db);
    for (let position = 1; position < 300; position += 1) {
      table.save('a', checkpoint(`${position * 977}`, 6000));
    }
    const long = checkpoint('1', 6000).length;
    expect(head(db)).toBeLessThan(300);
    expect(tails(db)).toEqual({ rows: 1, characters: expect.any(Number) as number });
    expect(tails(db).characters).toBeLessThan(long);
    table.save('a', checkpoint('5', 6001));
    expect({ head: head(db), ...tails(db) }).toMatchObject({ rows: 0 });
    expect(head(db)).toBeGreaterThan(150_000);
    table.save('a', checkpoint('6', 6001));
    table.save('a', checkpoint('7', 6001));
    expect(head(db)).toBeLessThan(300);
    table.save('a', checkpoint('8', 1));
    expect(tails(db).rows).toBe(0);
    expect(table.read('a')).toBe(checkpoint('8', 1));
  });

  it('is refused where the end of it is missing', () => {
    const db = opened(newFile());
    const table = new CheckpointTable(db);
    for (const position of ['1', '2', '3']) table.save('a', checkpoint(position, 6000));
    db.exec('DELETE FROM checkpoint_tails');
    expect(() => table.read('a')).toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_UNREADABLE' }) as Error,
    );
    // The next one that is saved is whole again.
    table.save('a', checkpoint('4', 6000));
    expect(table.read('a')).toBe(checkpoint('4', 6000));
  });

  it('of an earlier version is read, left as it is by who only looks, and goes on in the new format', () => {
    const path = newFile();
    const before = opened(path);
    before.exec(
      `DROP TABLE checkpoint_tails; ALTER TABLE checkpoints DROP COLUMN tail;
       UPDATE meta SET value = 1 WHERE key = 'format'`,
    );
    const write = "INSERT OR REPLACE INTO checkpoints (name, checkpoint) VALUES ('a', ?)";
    before.prepare(write).run(checkpoint('1', 6000));
    const looking = new CheckpointTable(opened(path, false));
    expect(looking.read('a')).toBe(checkpoint('1', 6000));
    looking.save('a', checkpoint('2', 6000));
    expect(looking.read('a')).toBe(checkpoint('2', 6000));
    const db = opened(path);
    const table = new CheckpointTable(db);
    expect(table.read('a')).toBe(checkpoint('2', 6000));
    for (const position of ['3', '4']) table.save('a', checkpoint(position, 6000));
    expect(head(db)).toBeLessThan(300);
    expect(looking.read('a')).toBe(checkpoint('4', 6000));
    // An earlier version that still runs writes whole ones.
    before.prepare(write).run(checkpoint('5', 6000));
    expect(table.read('a')).toBe(checkpoint('5', 6000));
  });
});
