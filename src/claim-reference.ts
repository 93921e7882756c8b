/**
 * What stands in the log in the place of an oversize value: where that is, and what proves that it is the same. Part of
 * the contract between the legs: capture writes it, delivery resolves it before it sends.
 */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { HEADER_FORMAT, type LogRecord } from './change-event.ts';
import { RowcallError } from './errors.ts';
import { type Canonical, canonical, canonicalKey } from './event-format.ts';

/** `{"claim_check":…}` as the record's value. */
export interface ClaimReference {
  /** Path below the folder `log.claim_check.path`, with `/`. */
  readonly file: string;
  /** Of the file's bytes, in hex. */
  readonly sha256: string;
  readonly size: number;
  /** Of an update: columns whose values differ. */
  readonly changed?: readonly string[] | undefined;
  /** Of a record that is not of the default format: what it takes to read the value. */
  readonly record?:
    | {
        readonly key: string | null;
        readonly headers: readonly (readonly [name: string, value: string])[];
      }
    | undefined;
}

/** The format of a record whose value is a reference. */
export const CLAIM_FORMAT = 'claim-check';

const START = Buffer.from('{"claim_check":');

const schema = z.strictObject({
  claim_check: z.strictObject({
    file: z.string().regex(/^[0-9a-f]{2}\/[0-9a-f]{64}\.json$/),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    size: z.int().min(0),
    changed: z.array(z.string()).optional(),
    record: z
      .strictObject({
        key: z.string().nullable(),
        headers: z.array(z.tuple([z.string(), z.string()])),
      })
      .optional(),
  }),
});

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The record with a reference in the place of its value. The file's name is its content's: to write it again is to write the same. */
export function claimedRecord(
  record: LogRecord,
  value: Uint8Array,
  changed: readonly string[] | null,
): { readonly claim: ClaimReference; readonly record: LogRecord } {
  const sha256 = sha256Of(value);
  const headers = record.headers ?? [];
  const plain = !headers.some(([name]) => name === HEADER_FORMAT);
  const claim: ClaimReference = {
    file: `${sha256.slice(0, 2)}/${sha256}.json`,
    sha256,
    size: value.byteLength,
    ...(changed === null ? {} : { changed }),
    ...(plain ? {} : { record: { key: record.key, headers } }),
  };
  return {
    claim,
    record: {
      ...record,
      value: Buffer.from(JSON.stringify({ claim_check: claim })),
      headers: [
        ...headers.filter(([name]) => name !== HEADER_FORMAT),
        [HEADER_FORMAT, CLAIM_FORMAT],
      ],
    },
  };
}

/** The record as `canonical` gives it, but that a reference stays one: it is resolved when it is sent. */
export function canonicalOrClaim(record: LogRecord, value: Uint8Array): Canonical {
  if (!isClaimed(record)) return canonical(record, value);
  const { record: own } = parseClaim(value);
  return { key: own === undefined ? record.key : canonicalKey(own), value };
}

/** Whether the record's value is a reference. */
export function isClaimed({ headers }: Pick<LogRecord, 'headers'>): boolean {
  return (
    headers?.some(([name, format]) => name === HEADER_FORMAT && format === CLAIM_FORMAT) === true
  );
}

/** Whether a value in the default format's place is a reference: an envelope begins otherwise. */
export function isClaim(value: Uint8Array): boolean {
  return value.byteLength > START.length && START.equals(value.subarray(0, START.length));
}

/** @throws RowcallError ENVELOPE_INVALID */
export function parseClaim(value: Uint8Array): ClaimReference {
  try {
    return schema.parse(JSON.parse(Buffer.from(value).toString('utf8'))).claim_check;
  } catch (error) {
    throw new RowcallError('ENVELOPE_INVALID', 'A reference to an oversize value cannot be read', {
      cause: error,
    });
  }
}

/** How many bytes there will be to send: those of the value that is referred to. A reference that nobody can read stands for itself. */
export function bytesToSend(value: Uint8Array): number {
  if (!isClaim(value)) return value.byteLength;
  try {
    return parseClaim(value).size;
  } catch (error) {
    if (error instanceof RowcallError && error.code === 'ENVELOPE_INVALID') return value.byteLength;
    throw error;
  }
}

/**
 * The value that a reference stands for, in the default format.
 *
 * @param read gives a file's bytes, null where it is not there
 * @throws RowcallError CLAIM_MISSING, CLAIM_ALTERED, ENVELOPE_INVALID
 */
export async function resolveClaim(
  record: Pick<LogRecord, 'key' | 'operation' | 'id'>,
  value: Uint8Array,
  read: (file: string) => Promise<Uint8Array | null>,
): Promise<Uint8Array> {
  const { file, sha256, size, record: own } = parseClaim(value);
  const bytes = await read(file);
  const place = `event ${record.id}`;
  if (bytes === null) {
    throw new RowcallError('CLAIM_MISSING', `The file ${file} is not there`, { place });
  }
  if (bytes.byteLength !== size || sha256Of(bytes) !== sha256) {
    throw new RowcallError('CLAIM_ALTERED', `The file ${file} is not what was written`, { place });
  }
  return canonical({ ...record, headers: [], ...own }, bytes).value;
}
