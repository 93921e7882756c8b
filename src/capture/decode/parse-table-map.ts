/** One TABLE_MAP event's body as a table version. Layout: class Table_map_event in mysql's rows_event.h. */

import { ByteCursor, malformed } from '../byte-cursor.ts';
import { readColumnShape } from './column-type.ts';
import type { ColumnShape, Flavor } from './column-type.ts';
import type { Column } from './column.ts';
import { withOpenColumns } from './mariadb-columns.ts';
import { readOptionalMetadata } from './optional-metadata.ts';
import type { OptionalMetadata } from './optional-metadata.ts';
import type { KeyPart, TableVersion } from './table-map.ts';

/** The server's own names for functional-index columns; no user's column is invisible under such a name. */
const FUNCTIONAL_INDEX_COLUMN = /^!hidden!.+!\d+!\d+$/;

/**
 * Reads the body, from the schema's name on.
 *
 * A map that lacks names, or holds what this version does not know, is a table version with a `defect`: it
 * stops the capture only when the table is captured.
 *
 * @param flavor of the server whose format description stood before it
 * @throws RowcallError BINLOG_EVENT_MALFORMED
 */
export function parseTableMap(body: Buffer, flavor: Flavor = 'mysql'): TableVersion {
  const reader = new ByteCursor(body);
  const schema = readName(reader);
  const table = readName(reader);
  const name = `${schema}.${table}`;
  const count = reader.packed();
  if (count === 0) throw malformed(`The table ${name} has no columns`);
  const types = reader.slice(count);
  const metadata = reader.inner(reader.packed());
  const nullable = reader.slice((count + 7) >> 3);
  const shapes: ColumnShape[] = [];
  for (const type of types) {
    const shape = readColumnShape(type, metadata);
    if (shape === null) return unreadable({ schema, table, name }, shapes.length, type);
    shapes.push(shape);
  }
  metadata.expectEnd(`the column metadata of ${name}`);
  const optional = readOptionalMetadata(reader, shapes, flavor);
  const columns = shapes.map((shape, index) =>
    toColumn(shape, index, optional, (nullable.readUInt8(index >> 3) >> (index & 7)) % 2 === 1),
  );
  const version = {
    schema,
    table,
    name,
    columns,
    primaryKey: toKey(optional, columns),
    defect: defectOf(name, optional),
  };
  return flavor === 'mysql' ? version : withOpenColumns(version, flavor);
}

function readName(reader: ByteCursor): string {
  const name = reader.slice(reader.u8()).toString('utf8');
  if (reader.u8() !== 0) throw malformed('A name in the table map is not closed by a zero byte');
  return name;
}

function unreadable(
  names: Pick<TableVersion, 'schema' | 'table' | 'name'>,
  index: number,
  type: number,
): TableVersion {
  const message =
    `Column ${index + 1} of ${names.name} has the type code ${type}, which is not known here, so that ` +
    'no column behind it can be read';
  return {
    ...names,
    columns: [],
    primaryKey: null,
    defect: { code: 'COLUMN_TYPE_UNSUPPORTED', message },
  };
}

function toColumn(
  shape: ColumnShape,
  index: number,
  optional: OptionalMetadata,
  nullable: boolean,
): Column {
  const name = optional.names?.[index] ?? '';
  const visible = optional.visible?.[index] ?? true;
  return {
    ...shape,
    index,
    name,
    nullable,
    visible,
    hidden: (optional.visible === null || !visible) && FUNCTIONAL_INDEX_COLUMN.test(name),
    unsigned: optional.unsigned[index] ?? false,
    collation: optional.collations[index] ?? null,
    labels: optional.labels[index] ?? null,
  };
}

function toKey(optional: OptionalMetadata, columns: readonly Column[]): readonly KeyPart[] | null {
  if (optional.key === null) return null;
  return optional.key.flatMap(({ index, prefix }) => {
    const column = columns[index];
    return column === undefined ? [] : [{ column, prefix }];
  });
}

function defectOf(name: string, optional: OptionalMetadata): TableVersion['defect'] {
  if (optional.unknown.length > 0) {
    return {
      code: 'BINLOG_EVENT_UNSUPPORTED',
      message: `The table map of ${name} holds metadata fields of a newer server: ${optional.unknown.join(', ')}`,
    };
  }
  if (optional.missing.length > 0) {
    return {
      code: 'ROW_METADATA_MISSING',
      message: `The table map of ${name} was written without ${optional.missing.join(', ')}`,
      missing: optional.missing,
    };
  }
  return null;
}
