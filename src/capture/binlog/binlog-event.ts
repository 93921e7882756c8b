/**
 * Binlog events as the rest of capture/ sees them: parsed, checksum verified and cut off, each with its
 * 64-bit place. Codes, classes and layouts: mysql's libs/mysql/binlog/event/binlog_event.h.
 */

import type { Gtid } from '../../gtid-set.ts';
import type { MariadbGtid } from '../../mariadb-gtid.ts';

export type { Gtid } from '../../gtid-set.ts';

/** The algorithm belongs to the file: it stands in the file's own format description. */
export type ChecksumAlgorithm = 'none' | 'crc32';

export interface EventPlace {
  /** The file the event stands in. */
  readonly file: string;
  /** Where the event begins, counted by us: the header's own end position wraps at 4 GiB. */
  readonly position: number;
  /** Where the next event begins. */
  readonly endPosition: number;
}

export interface EventHeader extends EventPlace {
  /** Seconds since the epoch. */
  readonly timestamp: number;
  readonly serverId: number;
  /** Length of the whole event, header and checksum included. */
  readonly bytes: number;
  /** Only where bodies are read to be shown. */
  readonly shown?: ShownHeader;
}

export interface ShownHeader {
  /** As the header has it: event-codes.ts names it. */
  readonly code: number;
  /** Within a compressed transaction: the place is that of its payload. */
  readonly inner: boolean;
}

/** An xid as its event has it: both parts in lower-case hex; of the format id the lowest 32 bits alone. */
export interface EventXid {
  readonly gtrid: string;
  readonly bqual: string;
  readonly formatId: number;
}

/** It begins a transaction in place of a BEGIN. */
export interface MariadbGtidEvent extends EventHeader {
  readonly type: 'mariadb-gtid';
  readonly gtid: MariadbGtid;
  /** MariaDB keeps none beside the header's time. */
  readonly commitUs: null;
  /** One event, without a commit behind it: DDL, and the outcome of an XA transaction. */
  readonly standalone: boolean;
  /** The first part of an XA transaction, or its outcome. */
  readonly xa: { readonly part: 'prepared' | 'completed'; readonly xid: EventXid } | null;
  /** An ALTER TABLE that only begins, or failed (`binlog_alter_two_phase`): it stands in full again where it is done. */
  readonly unfinishedAlter: boolean;
  /** Of the session; null before 11.5. */
  readonly thread: number | null;
}

export type RowOperation = 'insert' | 'update' | 'delete';

export type BinlogEvent =
  | ({
      readonly type: 'format-description';
      readonly serverVersion: string;
      /** When the file was made, seconds: the header timestamp, as the own field is zero in most files. */
      readonly created: number;
      readonly checksum: ChecksumAlgorithm;
    } & EventHeader)
  /** The next file. `artificial`: made for this dump, not in the file. */
  | ({
      readonly type: 'rotate';
      readonly nextFile: string;
      readonly nextPosition: number;
      readonly artificial: boolean;
    } & EventHeader)
  | ({ readonly type: 'previous-gtids'; readonly set: string } & EventHeader)
  /** GTID, tagged GTID, or ANONYMOUS_GTID (`gtid` null). `commitUs`: original commit timestamp, microseconds. */
  | ({
      readonly type: 'gtid';
      readonly gtid: Gtid | null;
      readonly commitUs: number | null;
    } & EventHeader)
  | MariadbGtidEvent
  /** MariaDB's counterpart of PREVIOUS_GTIDS: the last GTID of each domain. Also sent where a dump leaves out. */
  | ({ readonly type: 'gtid-list'; readonly list: string } & EventHeader)
  | ({
      readonly type: 'query';
      readonly schema: string;
      readonly sql: string;
      /** The bits of the session's sql_mode, by which its text is to be read; 0 where the event does not tell. */
      readonly sqlMode: number;
      /** What it may say besides, where the event does not tell the character set of a text that is not ASCII. */
      readonly otherTexts?: readonly string[];
      readonly threadId: number;
    } & EventHeader)
  /** `body` begins behind the post-header (table id and flags), at the schema name: decode/table-map.ts reads it. */
  | ({ readonly type: 'table-map'; readonly tableId: number; readonly body: Buffer } & EventHeader)
  /** `body` begins behind the post-header (and behind v2's extra data): packed width, bitmaps, rows. */
  | ({
      readonly type: 'rows';
      readonly operation: RowOperation;
      readonly tableId: number;
      readonly endOfStatement: boolean;
      /** Of an update: its after images may hold changes of JSON documents instead of the documents. */
      readonly partialJson?: true;
      readonly body: Buffer;
    } & EventHeader)
  | ({ readonly type: 'xid'; readonly xid: bigint } & EventHeader)
  /** The end of an XA transaction's rows: prepared, or with `onePhase` committed. */
  | ({
      readonly type: 'xa-prepare';
      readonly xid: EventXid;
      readonly onePhase: boolean;
    } & EventHeader)
  | ({ readonly type: 'rows-query'; readonly sql: string } & EventHeader)
  /** The server is alive, and everything up to this place was sent or skipped. */
  | ({
      readonly type: 'heartbeat';
      readonly atFile: string;
      readonly atPosition: number;
    } & EventHeader)
  | ({ readonly type: 'stop' } & EventHeader)
  /**
   * In the table of codes as harmless, with the reason there. Where bodies are read to be shown also one that would
   * stop the capture; then `detail` is what an INCIDENT says.
   */
  | ({
      readonly type: 'harmless';
      readonly name: string;
      readonly detail?: string;
    } & EventHeader);
