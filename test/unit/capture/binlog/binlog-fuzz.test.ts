import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import { gather } from '../../../support/cli.ts';
import { tempDir } from '../../../support/temp-dir.ts';
import { reseal } from './event-maker.ts';

const FOLDER = new URL('../../../fixtures/binlogs/', import.meta.url).pathname;
const MAGIC = Buffer.from([0xfe, 0x62, 0x69, 0x6e]);
const CORPUS = readdirSync(FOLDER)
  .filter((name) => !name.endsWith('.md'))
  .map((name) => readFileSync(join(FOLDER, name)))
  // An encrypted one has no events to bend.
  .filter((file) => file.subarray(0, MAGIC.length).equals(MAGIC));
/** What a damaged file may end with: an error that names the damage. Never INTERNAL, which prints a stack. */
const TOLD = /^(?:note: [^\n]*\n)?(?:(?:error |\{"code":")(?!INTERNAL)[A-Z_]+(?:: |",)[^]*)?$/;

async function endsWell(bytes: Uint8Array): Promise<void> {
  const path = join(tempDir(), 'binlog.000001');
  writeFileSync(path, bytes);
  for (const form of [[], ['--json']]) {
    const { code, out, err } = await gather((io) => runCli(['binlog', path, ...form], io));
    expect(err).toMatch(TOLD);
    expect(code === 0).toBe(!/^(?:error |\{)/m.test(err));
    // What was printed before the damage is whole.
    if (form.length === 0) continue;
    for (const line of out.split('\n').slice(0, -1)) JSON.parse(line);
    expect(out === '' || out.endsWith('\n')).toBe(true);
  }
}

/** The file's events; the last may be cut. */
function eventsOf(file: Buffer): Buffer[] {
  const events: Buffer[] = [];
  for (let at = 4; at < file.length;) {
    const length = file.readUInt32LE(at + 9);
    events.push(file.subarray(at, at + length));
    at += length;
  }
  return events;
}

/** Bytes of an event changed, removed or put in, with a length, a checksum and places that fit. */
function placed(events: readonly Buffer[]): Buffer {
  let end = 4;
  return Buffer.concat([
    MAGIC,
    ...events.map((event) => {
      const copy = Buffer.from(event);
      end += copy.length;
      copy.writeUInt32LE(end, 13);
      return reseal(copy);
    }),
  ]);
}

const change = fc.record({
  at: fc.nat(),
  with: fc.uint8Array({ maxLength: 8 }),
  instead: fc.integer({ min: 0, max: 8 }),
});

function changed(
  bytes: Buffer,
  edits: readonly { at: number; with: Uint8Array; instead: number }[],
  from: number,
): Buffer {
  let result = bytes;
  for (const { at, with: put, instead } of edits) {
    const place = from + (at % Math.max(1, result.length - from));
    result = Buffer.concat([result.subarray(0, place), put, result.subarray(place + instead)]);
  }
  return result;
}

/** Hundreds of files each: on a busy machine that takes longer than a unit test may, and a hang is still told. */
describe('a damaged binlog file', { timeout: 180_000 }, () => {
  it('of random bytes ends with an error that names it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.uint8Array({ maxLength: 400 }), (real, bytes) =>
        endsWell(real ? Buffer.concat([MAGIC, bytes]) : bytes),
      ),
      { numRuns: 300 },
    );
  });

  it('of a real server, bent or cut anywhere, ends with an error that names it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...CORPUS),
        fc.array(change, { maxLength: 3 }),
        fc.nat(),
        async (file, edits, cut) => {
          const bytes = changed(file, edits, 0);
          await endsWell(
            bytes.subarray(0, cut % 2 === 0 ? bytes.length : cut % (bytes.length + 1)),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  it('whose checksums and places fit all the same never reads past an event, and ends', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...CORPUS),
        fc.array(fc.record({ event: fc.nat(), edit: change }), { minLength: 1, maxLength: 4 }),
        async (file, edits) => {
          const events = eventsOf(file);
          for (const { event, edit } of edits) {
            const index = event % events.length;
            events[index] = changed(events[index] ?? MAGIC, [edit], 19);
          }
          await endsWell(placed(events));
        },
      ),
      { numRuns: 500 },
    );
  });
});
