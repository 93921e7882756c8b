import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  bytesToSend,
  canonicalOrClaim,
  claimedRecord,
  isClaim,
  resolveClaim,
} from '../../src/claim-reference.ts';
import { ClaimFiles } from '../../src/claim-files.ts';
import type { LogRecord } from '../../src/change-event.ts';
import { ClaimSender } from '../../src/deliver/callback/claim-sender.ts';
import type { OutgoingEvent, Sender } from '../../src/deliver/callback/sender.ts';
import { allocateShared } from '../../src/shared/shared-bytes.ts';
import { tempDir } from '../support/temp-dir.ts';

const ENVELOPE = Buffer.from(
  '{"before":null,"after":{"id":1},"source":{},"op":"c","ts_ms":1,"transaction":null}',
);
const RECORD: LogRecord = {
  key: '{"id":1}',
  value: ENVELOPE,
  timestampMs: 1,
  id: 'gtid:s/t:1',
  table: 's.t',
  operation: 'c',
};

const code = (name: string): Error => expect.objectContaining({ code: name }) as Error;

describe('a reference', () => {
  const { claim, record } = claimedRecord(RECORD, ENVELOPE, null);
  const value = record.value ?? new Uint8Array();

  it('leads to the value that it was made of', async () => {
    expect(isClaim(value)).toBe(true);
    expect(isClaim(ENVELOPE)).toBe(false);
    const read = (file: string): Promise<Uint8Array | null> =>
      Promise.resolve(file === claim.file ? ENVELOPE : null);
    expect(await resolveClaim(record, canonicalOrClaim(record, value).value, read)).toEqual(
      ENVELOPE,
    );
  });

  it('counts as what will be sent, so that a large value has its turn to itself', () => {
    expect(bytesToSend(ENVELOPE)).toBe(ENVELOPE.byteLength);
    expect(bytesToSend(value)).toBe(claim.size);
    expect(bytesToSend(Buffer.from('{"claim_check":{}}'))).toBe(18);
  });

  it.each<[string, Uint8Array | null, string]>([
    ['no file', null, 'CLAIM_MISSING'],
    ['an empty file', new Uint8Array(), 'CLAIM_ALTERED'],
    ['a file cut off', ENVELOPE.subarray(0, -1), 'CLAIM_ALTERED'],
    ['a file of the same length', Buffer.alloc(ENVELOPE.length, 'x'), 'CLAIM_ALTERED'],
  ])('to %s is an error', async (_what, bytes, expected) => {
    await expect(resolveClaim(record, value, () => Promise.resolve(bytes))).rejects.toThrow(
      code(expected),
    );
  });

  it.each([
    '{"claim_check":{}}',
    '{"claim_check":{"file":"../../etc/passwd","sha256":"","size":0}}',
    '{"claim_check":',
  ])('that is none of ours is refused: %s', async (text) => {
    const reading = resolveClaim(record, Buffer.from(text), () => Promise.resolve(ENVELOPE));
    await expect(reading).rejects.toThrow(code('ENVELOPE_INVALID'));
  });
});

describe('the folder of oversize values', () => {
  it('has each under its name once, whole, and nothing else', async () => {
    const folder = join(tempDir(), 'not', 'there', 'yet');
    const files = new ClaimFiles(folder);
    const shared = allocateShared(100_000).fill('ä');
    await files.put('ab/x.json', shared);
    await files.put('ab/x.json', shared);
    expect(Buffer.from((await files.read('ab/x.json')) ?? [])).toEqual(Buffer.from(shared));
    expect(await files.read('ab/y.json')).toBeNull();
    expect(await readdir(join(folder, 'ab'))).toEqual(['x.json']);
    expect(claimedRecord(RECORD, shared, null).claim.size).toBe(100_000);
  });

  it('that cannot be written says so', async () => {
    const file = join(tempDir(), 'file');
    await writeFile(file, '');
    await expect(new ClaimFiles(file).put('ab/x.json', ENVELOPE)).rejects.toThrow(
      code('CLAIM_WRITE_FAILED'),
    );
    await rm(file);
  });
});

describe('a sender behind the folder', () => {
  const { record } = claimedRecord(RECORD, ENVELOPE, null);
  const event: OutgoingEvent = {
    ...RECORD,
    topic: 't',
    partition: 0,
    offset: 0,
    value: record.value ?? new Uint8Array(),
  };

  async function send(read: () => Promise<Uint8Array | null>): Promise<readonly unknown[]> {
    const sent: unknown[] = [];
    const sender: Sender = {
      send: ({ value }) => {
        sent.push(value);
        return Promise.resolve({ kind: 'delivered' });
      },
      close: () => Promise.resolve(),
    };
    const outcome = await new ClaimSender(sender, { read }).send(event, 1, AbortSignal.any([]));
    return [outcome, ...sent];
  }

  it('sends the value, never the reference', async () => {
    expect(await send(() => Promise.resolve(ENVELOPE))).toEqual([{ kind: 'delivered' }, ENVELOPE]);
  });

  it('fails the attempt where there is none', async () => {
    const failed = (text: string): unknown => ({
      kind: 'failed',
      error: expect.stringContaining(text) as string,
      cause: 'system',
    });
    expect(await send(() => Promise.resolve(null))).toEqual([failed('CLAIM_MISSING')]);
    expect(await send(() => Promise.resolve(Buffer.alloc(3)))).toEqual([failed('CLAIM_ALTERED')]);
    const denied = Object.assign(new Error('/secret/path'), { code: 'EACCES' });
    const [outcome] = await send(() => Promise.reject(denied));
    expect(outcome).toEqual(failed('EACCES'));
    expect(outcome).not.toEqual(failed('/secret'));
  });
});
