/**
 * The tables that row events refer to by id. A TABLE_MAP is the one source of the schema, because it tells
 * the schema that the rows behind it were written with.
 */

import type { ErrorCode } from '../../errors.ts';
import type { BinlogEvent } from '../binlog/binlog-event.ts';
import { formatPlace } from '../../position.ts';
import { located } from '../byte-cursor.ts';
import type { Column } from './column.ts';
import { flavorOf } from './column-type.ts';
import type { Flavor } from './column-type.ts';
import { parseTableMap } from './parse-table-map.ts';

/** A column of the key. `prefix` is in characters; 0 is the whole column. */
export interface KeyPart {
  readonly column: Column;
  readonly prefix: number;
}

/** Rows that end at the end of time are the table's rows; the others are its history. */
export interface Period {
  /** Index of the column; null where several can be it. */
  readonly startIndex: number | null;
  readonly endIndex: number;
  /** Seconds since the epoch; the microseconds are 999999. */
  readonly endOfTime: number;
}

/** One shape of one table. The same object for the same bytes, so that plans can hang on it (WeakMap). */
export interface TableVersion {
  readonly schema: string;
  readonly table: string;
  /** `schema.table`, as the server spells it. */
  readonly name: string;
  readonly columns: readonly Column[];
  /** The primary key, or the UNIQUE NOT NULL key that the server puts in its place. */
  readonly primaryKey: readonly KeyPart[] | null;
  /** Of a table that MariaDB may keep the history of, whose columns then are open. */
  readonly endOfTime?: number;
  /** Of one that it does. Its rows of before are in the binlog, and are no changes. */
  readonly period?: Period;
  /** Why rows of this table cannot be read; null when they can. It matters for captured tables alone. */
  readonly defect: TableDefect | null;
}

export interface TableDefect {
  readonly code: ErrorCode;
  readonly message: string;
  /** Where the code's own cure does not help. */
  readonly cure?: string;
  /** Of ROW_METADATA_MISSING: the fields that the map lacks. */
  readonly missing?: readonly string[];
  /** file:position of the map; absent where it was parsed outside a stream. */
  readonly place?: string;
}

export type TableMapEvent = Extract<BinlogEvent, { readonly type: 'table-map' }>;

/** Columns of all shapes kept: with what hangs on them each takes about half a kilobyte. */
const MAX_COLUMNS = 64 * 1024;
/** Ids kept. A row event refers to the maps of its own statement only, which are the newest. */
const MAX_IDS = 10_000;

/**
 * Gives row events their table. Invariants: an id means what the newest map of this connection said, and
 * equal bytes give the same object. Ids are reused after a server restart, so `clear` is due at every new
 * connection and format description; without it rows would be read by another table's columns. Shapes are
 * kept by the map's bytes without the id, because every FLUSH TABLES makes new ids for the same bytes. A shape
 * with a defect is an object of its own for each map, because the defect must name the place of this one.
 */
export class TableMaps {
  readonly #versions: TableVersions;
  readonly #ids = new Map<number, TableVersion>();
  #flavor: Flavor;

  constructor(flavor: Flavor = 'mysql', versions = new TableVersions()) {
    this.#flavor = flavor;
    this.#versions = versions;
  }

  /**
   * For what is read of the same server beside these: another dump has ids of its own, and its maps mean the same. Of no
   * use any more once a format description came.
   */
  beside(): TableMaps {
    return new TableMaps(this.#flavor, this.#versions);
  }

  /** @throws RowcallError BINLOG_EVENT_MALFORMED */
  put(event: TableMapEvent): TableVersion {
    const version = placed(this.#versions.of(event, this.#flavor), event);
    this.#ids.delete(event.tableId);
    this.#ids.set(event.tableId, version);
    dropOldest(this.#ids, MAX_IDS);
    return version;
  }

  /** Undefined when no map since `clear` has named the id. */
  get(tableId: number): TableVersion | undefined {
    return this.#ids.get(tableId);
  }

  /**
   * Forgets all ids: at a new connection, and at a format description; also between transactions, since each has maps of
   * its own, and those of the tables that were met before would stay in memory.
   *
   * @param serverVersion of the format description: the maps behind it are those of this server
   */
  clear(serverVersion?: string): void {
    this.#ids.clear();
    const flavor = serverVersion === undefined ? this.#flavor : flavorOf(serverVersion);
    // The same bytes mean another table there.
    if (flavor !== this.#flavor) this.#versions.clear();
    this.#flavor = flavor;
  }
}

/** Shapes by their map's bytes, those longest unused gone where they have too many columns: a source may have any number of tables. */
class TableVersions {
  readonly #versions = new Map<string, TableVersion>();
  #columns = 0;

  of(event: TableMapEvent, flavor: Flavor): TableVersion {
    const key = event.body.toString('latin1');
    const known = this.#versions.get(key);
    const version = known ?? parse(event, flavor);
    this.#versions.delete(key);
    this.#versions.set(key, version);
    if (known === undefined) this.#columns += weightOf(version);
    for (const [oldest, { columns }] of this.#versions) {
      if (this.#columns <= MAX_COLUMNS || this.#versions.size === 1) break;
      this.#versions.delete(oldest);
      this.#columns -= weightOf({ columns });
    }
    return version;
  }

  clear(): void {
    this.#versions.clear();
    this.#columns = 0;
  }
}

/** A table takes room beside its columns. */
function weightOf({ columns }: Pick<TableVersion, 'columns'>): number {
  return 8 + columns.length;
}

function parse(event: TableMapEvent, flavor: Flavor): TableVersion {
  try {
    return parseTableMap(event.body, flavor);
  } catch (error) {
    throw located(error, formatPlace(event));
  }
}

function placed(version: TableVersion, event: TableMapEvent): TableVersion {
  if (version.defect === null) return version;
  return { ...version, defect: { ...version.defect, place: formatPlace(event) } };
}

/** A Map keeps the order of insertion, so its first key is the one longest unused. */
function dropOldest<K>(map: Map<K, unknown>, limit: number): void {
  if (map.size <= limit) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
