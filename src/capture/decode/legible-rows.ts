/** The rows of an event as far as they can be read, each value that cannot with its reason. */

import { RowcallError } from '../../errors.ts';
import type { JsonText } from './json-text.ts';
import { type LegibleColumn, legibleTable } from './legible-table.ts';
import { decodeRows, type RowChange, type RowImage, type RowsEvent } from './rows.ts';
import type { TableVersion } from './table-map.ts';

/** A column's value, or why it cannot be read. */
export interface LegibleValue {
  readonly name: string;
  readonly value: JsonText | RowcallError;
}

/** Whether it is a value. */
export function isRead(value: LegibleValue['value']): value is JsonText {
  return typeof value === 'string' || 'writeTo' in value;
}

/** The columns that the image has, in the table's order. */
export type LegibleImage = readonly LegibleValue[];

export interface LegibleRow {
  readonly before: LegibleImage | null;
  readonly after: LegibleImage | null;
}

/**
 * Reads as `decodeRows` does as long as that can. From a row on that it cannot read, each column is read for itself:
 * one that fails bears its reason there and in the rows behind it, since only reading it would tell where its next
 * value stands for certain; all others have their values.
 *
 * @returns why there may be more rows, which cannot be read at all; null when there are none
 * @throws whatever is not a RowcallError
 */
export function* legibleRows(
  event: RowsEvent,
  table: TableVersion,
): Generator<LegibleRow, RowcallError | null, undefined> {
  const { version, columns, wanted, refused } = legibleTable(table);
  if (refused !== null) return refused;
  let done = 0;
  try {
    for (const change of decodeRows(event, version, wanted)) {
      yield toRow(change, columns);
      done += 1;
    }
    return null;
  } catch (error) {
    if (!(error instanceof RowcallError)) throw error;
    return yield* apart(event, version, columns, done);
  }
}

function toRow({ before, after }: RowChange, columns: readonly LegibleColumn[]): LegibleRow {
  return { before: toImage(before, columns), after: toImage(after, columns) };
}

function toImage(image: RowImage | null, columns: readonly LegibleColumn[]): LegibleImage | null {
  if (image === null) return null;
  return columns.flatMap(({ column, name, refused, told }): LegibleImage => {
    if (refused !== null) return [{ name, value: refused }];
    const value = image[column.index];
    return value === undefined ? [] : [{ name, value: tell(value, told) }];
  });
}

function tell(value: JsonText, told: LegibleColumn['told']): JsonText {
  return told === null || value === 'null' ? value : told(value);
}

/** A column that is read alone: its next row, or what it failed with. */
class ColumnRows {
  readonly #rows: Generator<RowChange, void, undefined>;
  readonly #legible: LegibleColumn;
  #failure: RowcallError | null;

  constructor(event: RowsEvent, table: TableVersion, legible: LegibleColumn) {
    this.#legible = legible;
    this.#failure = legible.refused;
    this.#rows = decodeRows(event, table, legible.alone);
  }

  get failure(): RowcallError | null {
    return this.#failure;
  }

  /** Null behind the last row, and once it has failed. */
  next(): RowChange | null {
    if (this.#failure !== null) return null;
    try {
      const next = this.#rows.next();
      return next.done === true ? null : next.value;
    } catch (error) {
      if (!(error instanceof RowcallError)) throw error;
      this.#failure = error;
      return null;
    }
  }

  value(image: RowImage | null): LegibleImage {
    const { column, name, told } = this.#legible;
    if (this.#failure !== null) return [{ name, value: this.#failure }];
    const value = image?.[column.index];
    return value === undefined ? [] : [{ name, value: tell(value, told) }];
  }
}

function* apart(
  event: RowsEvent,
  table: TableVersion,
  columns: readonly LegibleColumn[],
  done: number,
): Generator<LegibleRow, RowcallError | null, undefined> {
  const readers = columns.map((column) => new ColumnRows(event, table, column));
  for (let row = 0; ; row += 1) {
    const changes = readers.map((reader) => reader.next());
    const one = changes.find((change) => change !== null) ?? null;
    if (one === null) return endOf(readers);
    if (row < done) continue;
    const image = (which: 'before' | 'after'): LegibleImage =>
      readers.flatMap((reader, index) => reader.value(changes[index]?.[which] ?? null));
    yield {
      before: one.before === null ? null : image('before'),
      after: one.after === null ? null : image('after'),
    };
  }
}

/** All came to the end, unless every one of them failed. */
function endOf(readers: readonly ColumnRows[]): RowcallError | null {
  const failures = readers.map(({ failure }) => failure);
  return failures.every((failure) => failure !== null) ? (failures[0] ?? null) : null;
}
