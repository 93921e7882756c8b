/**
 * Places in a binlog: GTID sets, file positions, and the checkpoint that the log keeps beside our records.
 */

/** A place in one server's binlog. `position` is 64-bit at the source; ours stays below 2^53. */
export interface FilePosition {
  readonly file: string;
  readonly position: number;
}

/** `file:position`, as errors and logs name a place. */
export function formatPlace(place: FilePosition): string {
  return `${place.file}:${place.position}`;
}

/** The number at the end: file names do not sort as text once there are more than 999,999. */
export function fileNumber(name: string): number {
  return Number(/\.(\d+)$/.exec(name)?.[1] ?? 0);
}

/** Below zero where the first stands before the second, in the same server's binlog. */
export function comparePlaces(one: FilePosition, other: FilePosition): number {
  return fileNumber(one.file) - fileNumber(other.file) || one.position - other.position;
}

/**
 * What an append saves with its records. It can stand in the middle of a transaction: then `file` and
 * `position` (and, with GTIDs, the set) are where that transaction begins, and `open` tells which of its
 * rows are in the log already. After any restart the transaction is read again from its beginning, and those
 * rows are dropped.
 */
export interface Checkpoint {
  readonly version: 3;
  readonly serverUuid: string;
  /** Executed GTIDs that are wholly in the log (or filtered); null where the source has GTIDs off. */
  readonly gtidSet: string | null;
  /** Where to go on: the beginning of the open transaction, or the end of the last one. */
  readonly file: string;
  readonly position: number;
  /** Timestamp (s) of the file's format description event: proves that it is the same file. */
  readonly fileCreated: number;
  /** The last transaction wholly read, and where it stands: proven again at every connect. Null at the start. */
  readonly last: {
    readonly gtid: string | null;
    readonly file: string;
    readonly position: number;
    /** The GTID event's header timestamp, in seconds. */
    readonly timestamp: number;
    /** original_commit_timestamp, microseconds; null where the event does not carry one. */
    readonly commitUs: number | null;
  } | null;
  /**
   * Transactions of which some rows are in the log, oldest first; empty between transactions. More than one
   * only after a failover, where another server may send others before the one that was cut.
   */
  readonly open: readonly OpenTransaction[];
  /** XA transactions that are prepared and neither committed nor rolled back, oldest first. */
  readonly prepared: readonly PreparedTransaction[];
  /** Tables of which a rule hides columns, as their last row had them. Absent where there are none. */
  readonly hiding?: readonly HidingTable[];
  /** Topics made. */
  readonly topics: Readonly<Record<string, MadeTopic>>;
  /** Hash of the rules that route; a change is logged, and matters only inside an open transaction. */
  readonly routing: string;
}

/** A table as the source names it. Joined by a dot it is not unique: both names may hold dots. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** A table of which a rule hides columns; names of columns in lower case, as rules compare them. */
export interface HidingTable extends TableName {
  readonly columns: readonly string[];
  /** Those of them that are masked, hashed, shortened or left out; never empty in a checkpoint. */
  readonly hidden: readonly string[];
}

/**
 * A table as a key of the checkpoint's counts: `schema.table`, and where that could be another table's as well, since
 * names may hold dots, both names as JSON.
 */
export function tableKey({ schema, table }: TableName): string {
  const isPlain = !schema.includes('.') && !table.includes('.') && !schema.startsWith('[');
  return isPlain ? `${schema}.${table}` : JSON.stringify([schema, table]);
}

export interface MadeTopic {
  readonly id: string;
  /** The count that its keys are hashed over. */
  readonly partitions: number;
  /**
   * The first of its tables, whose name tells what the topic was called before characters were replaced. Null
   * until one is known: the checkpoint was written by an earlier version, or made by hand.
   */
  readonly table: TableName | null;
  /** Of an outbox table: the first aggregate type that was led there. */
  readonly aggregateType?: string;
  /** Further tables whose rows were led there, as a shared topic has them. Absent where there are none. */
  readonly others?: readonly TableName[];
  /** Those of its tables that were dropped, and had no row since. Absent where there are none. */
  readonly dropped?: readonly TableName[];
  /** Of the topic of schema changes, by table: a hash of the columns that were recorded last. */
  readonly shapes?: Readonly<Record<string, string>>;
}

/** Every table known to have rows in a topic. */
export function tablesOf({ table, others = [] }: MadeTopic): readonly TableName[] {
  return table === null ? others : [table, ...others];
}

export function isAmong(table: TableName, tables: readonly TableName[] = []): boolean {
  return tables.some((one) => one.schema === table.schema && one.table === table.table);
}

/** A topic as the checkpoint keeps it. */
export function madeTopic(
  { id, partitions, others, dropped, shapes }: Omit<MadeTopic, 'table' | 'aggregateType'>,
  table: TableName | null,
  aggregateType?: string,
): MadeTopic {
  return {
    id,
    partitions,
    table,
    ...(aggregateType === undefined ? {} : { aggregateType }),
    ...(others === undefined ? {} : { others }),
    ...(dropped === undefined ? {} : { dropped }),
    ...(shapes === undefined ? {} : { shapes }),
  };
}

/**
 * An XA transaction whose rows stand in the binlog, and whose outcome was not read yet. At XA COMMIT the rows are read
 * again from there; until then nothing of it is kept but this.
 */
export interface PreparedTransaction {
  /** As the binlog's statements write it: `X'6162',X'',1`. */
  readonly xid: string;
  /** Of the transaction that prepared it; its outcome has one of its own. */
  readonly gtid: string | null;
  /** original_commit_timestamp of the prepare, microseconds; null where its event carries none. */
  readonly commitUs: number | null;
  /** The header timestamp of its GTID event, seconds, as the server that it was read on gives it. */
  readonly timestamp: number;
  /** Whether it has anything for a captured table, by the rules it was read under. */
  readonly captured: boolean;
  /** Where its GTID event stands on the checkpoint's server; null when it was read on another. */
  readonly at: PreparedPlace | null;
}

export interface PreparedPlace extends FilePosition {
  /** Timestamp (s) of the file's format description event. */
  readonly fileCreated: number;
}

/** Rows of one transaction that are in the log: per table (`tableKey`) the ordinal of the last one. */
export interface OpenTransaction {
  /** The transaction part of its event ids: the GTID, or the file place without GTIDs. */
  readonly transaction: string;
  /** original_commit_timestamp, microseconds: the same on every server. Null where its event carries none. */
  readonly commitUs: number | null;
  /** Its GTID event's header timestamp, seconds, on the checkpoint's server; null when read on another. */
  readonly timestamp: number | null;
  readonly tables: Readonly<Record<string, { readonly ordinal: number; readonly keyed: boolean }>>;
}
