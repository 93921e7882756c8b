/** The table of the decoder: which reader each column type has. A type that is not here stops the capture. */

import { RowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import { charsetOf } from './charset.ts';
import type { Charset } from './charset.ts';
import { OPEN_BINARY, RENDERED, TYPE } from './column.ts';
import type { Column } from './column.ts';
import { compressedBlobReader, compressedStringReader } from './types/compressed.ts';
import { decimalReader } from './types/decimal.ts';
import { doubleReader, floatReader } from './types/float.ts';
import {
  hiresDatetimeReader,
  hiresTimeReader,
  hiresTimestampReader,
} from './types/hires-temporal.ts';
import { geometryReader } from './types/geometry.ts';
import { bitReader, integerReader, yearReader } from './types/integer.ts';
import { jsonReader } from './types/json.ts';
import { enumReader, setReader } from './types/label.ts';
import { oldDatetimeReader, oldTimeReader, oldTimestampReader } from './types/old-temporal.ts';
import { dateReader, datetimeReader, timeReader, timestampReader } from './types/temporal.ts';
import { inet4Reader, inet6Reader, uuidReader } from './types/mariadb-binary.ts';
import { binaryReader, blobReader, stringReader } from './types/text.ts';
import { lengthPrefixed } from './types/value-reader.ts';
import { vectorReader } from './types/vector.ts';
import type { ValueReader } from './types/value-reader.ts';

type ReaderMaker = (column: Column) => ValueReader;

const MAKERS: ReadonlyMap<number, ReaderMaker> = new Map<number, ReaderMaker>([
  [TYPE.TINY, (column) => integerReader(1, column.unsigned)],
  [TYPE.SHORT, (column) => integerReader(2, column.unsigned)],
  [TYPE.INT24, (column) => integerReader(3, column.unsigned)],
  [TYPE.LONG, (column) => integerReader(4, column.unsigned)],
  [TYPE.LONGLONG, (column) => integerReader(8, column.unsigned)],
  [TYPE.BIT, (column) => bitReader(column.size)],
  [TYPE.YEAR, () => yearReader()],
  [TYPE.DECIMAL, (column) => decimalReader(column.size, column.scale)],
  [TYPE.FLOAT, () => floatReader()],
  [TYPE.DOUBLE, () => doubleReader()],
  [TYPE.DATE, () => dateReader()],
  [TYPE.DATETIME, (column) => datetimeReader(column.scale)],
  [TYPE.TIMESTAMP, (column) => timestampReader(column.scale)],
  [TYPE.TIME, (column) => timeReader(column.scale)],
  [TYPE.VARCHAR, (column) => stringReader(column.size, charset(column))],
  [TYPE.VAR_STRING, (column) => stringReader(column.size, charset(column))],
  [TYPE.STRING, fixedString],
  [TYPE.BLOB, (column) => blobReader(column.size, charset(column))],
  [TYPE.BLOB_COMPRESSED, (column) => compressedBlobReader(column.size, charset(column))],
  [TYPE.VARCHAR_COMPRESSED, (column) => compressedStringReader(column.size, charset(column))],
  [TYPE.ENUM, (column) => enumReader(column.size, labels(column), charset(column))],
  [TYPE.SET, (column) => setReader(column.size, labels(column), charset(column))],
  [TYPE.JSON, (column) => jsonReader(column.size)],
  [TYPE.GEOMETRY, (column) => geometryReader(column.size)],
  [TYPE.VECTOR, (column) => vectorReader(column.size)],
  [TYPE.TYPED_ARRAY, (column) => hiddenArray(column.size)],
  [TYPE.OLD_TIMESTAMP, (column) => oldTemporal(column, oldTimestampReader, hiresTimestampReader)],
  [TYPE.OLD_TIME, (column) => oldTemporal(column, oldTimeReader, hiresTimeReader)],
  [TYPE.OLD_DATETIME, (column) => oldTemporal(column, oldDatetimeReader, hiresDatetimeReader)],
  [OPEN_BINARY.uuid, () => uuidReader()],
  [OPEN_BINARY.inet4, () => inet4Reader()],
  [OPEN_BINARY.inet6, () => inet6Reader()],
  [OPEN_BINARY.vector, (column) => vectorReader(column.size > 255 ? 2 : 1)],
  [RENDERED, (column) => present(column.reader, 'how a column is rendered')()],
]);

/**
 * The reader of a column.
 *
 * @throws RowcallError COLUMN_TYPE_UNSUPPORTED, CHARSET_UNSUPPORTED
 */
export function valueReader(column: Column): ValueReader {
  const make = MAKERS.get(column.type);
  if (make === undefined) throw unsupported(`The type code ${column.type} is not known`);
  return make(column);
}

/** What passes over a column that no one wants, whatever its charset. */
export function valueSkipper(column: Column): ValueReader['skip'] {
  if (column.type === TYPE.ENUM || column.type === TYPE.SET) {
    return (reader) => {
      reader.claim(column.size);
    };
  }
  return valueReader({ ...column, collation: BINARY_COLLATION }).skip;
}

const BINARY_COLLATION = 63;

function fixedString(column: Column): ValueReader {
  const set = charset(column);
  return set === 'binary' ? binaryReader(column.size) : stringReader(column.size, set);
}

/** Of MariaDB the width is not told: a wrong one would shift every column behind. */
function oldTemporal(
  { scale, candidates }: Column,
  whole: () => ValueReader,
  withFraction: (digits: number) => ValueReader,
): ValueReader {
  if (candidates !== undefined) {
    throw new RowcallError(
      'COLUMN_TYPE_UNSUPPORTED',
      `It has an old storage format whose width the binlog does not tell (${candidates.join(' | ')})`,
      {
        cure: 'Rebuild the table (ALTER TABLE … FORCE under mysql56_temporal_format=ON), or exclude it.',
      },
    );
  }
  return scale === 0 ? whole() : withFraction(scale);
}

function charset(column: Column): Charset {
  const known = column.collation === null ? null : charsetOf(column.collation);
  if (known === null) {
    throw new RowcallError(
      'CHARSET_UNSUPPORTED',
      `Its character set is not known (collation id ${column.collation ?? 'unknown'})`,
    );
  }
  return known;
}

function labels(column: Column): readonly Buffer[] {
  return column.labels ?? [];
}

function unsupported(message: string): RowcallError {
  return new RowcallError('COLUMN_TYPE_UNSUPPORTED', message);
}

/** The keys of a multi-valued index: a column of the server's own, which is hidden, so that nobody can want it. */
function hiddenArray(lengthBytes: number): ValueReader {
  return lengthPrefixed(lengthBytes, () => {
    throw unsupported('The column belongs to a multi-valued index');
  });
}
