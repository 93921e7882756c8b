/** The compressions of Kafka's record batches. */
import { compressionsAlgorithms } from '@platformatic/kafka';

import { RowcallError } from '../../errors.ts';

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** In the order of their numbers in a batch's attributes. */
const BY_NUMBER: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

export function compressionNumber(compression: Compression): number {
  return BY_NUMBER.indexOf(compression);
}

export function compress(bytes: Buffer, compression: Compression): Buffer {
  return compression === 'none' ? bytes : compressionsAlgorithms[compression].compressSync(bytes);
}

/** @throws RowcallError LOG_CORRUPT: a number that Kafka does not have. */
export function decompress(bytes: Buffer, number: number): Buffer {
  const compression = BY_NUMBER[number];
  if (compression === undefined) {
    throw new RowcallError('LOG_CORRUPT', `A record batch has the unknown compression ${number}`);
  }
  return compression === 'none' ? bytes : compressionsAlgorithms[compression].decompressSync(bytes);
}
