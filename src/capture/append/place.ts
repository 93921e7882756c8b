/** Where we are in the binlog, event by event: what every append saves beside its records. */

import { filePlaceId } from '../../change-event.ts';
import { RowcallError } from '../../errors.ts';
import { executedGtids, type ExecutedGtids, formatAnyGtid } from '../../executed-gtids.ts';
import { formatPlace, isAmong, madeTopic, tableKey, tablesOf } from '../../position.ts';
import type {
  Checkpoint,
  MadeTopic,
  OpenTransaction,
  PreparedTransaction,
  TableName,
} from '../../position.ts';
import { assert, present } from '../../shared/assert.ts';
import type { BinlogEvent, EventPlace } from '../binlog/binlog-event.ts';
import type { TableVersion } from '../decode/table-map.ts';
import { HidingTables } from './hiding-tables.ts';
import { carriedOver, PreparedTransactions } from './prepared-transactions.ts';
import type { GtidEvent, Transaction } from './transaction.ts';

type FormatDescription = Extract<BinlogEvent, { type: 'format-description' }>;

/** The numbers of a row: among its table's rows and among all of the transaction, both from 1. */
export interface NextRow {
  readonly ordinal: number;
  readonly total: number;
  /** It was appended before a crash. */
  readonly inLog: boolean;
}

/**
 * The capture's place. Invariant: `checkpoint()`, taken between two rows, describes exactly the records
 * handed on so far: everything before `file:position` (and in the GTID set) wholly, and of the open
 * transactions the rows up to each table's ordinal. The set grows at commit, never at BEGIN: a crash
 * between the two would otherwise skip the transaction's rows.
 */
export class Place {
  readonly serverUuid: string;
  readonly prepared: PreparedTransactions;
  readonly hiding: HidingTables;
  /** How often `tableDropped` was called: what was noted of a table before may be over. */
  drops = 0;
  readonly #routing: string;
  readonly #gtids: ExecutedGtids | null;
  /** Transactions cut by an earlier crash, whose rows up to the ordinals are in the log. */
  readonly #cut: Map<string, OpenTransaction>;
  /** A map, as a topic may be called `constructor`. */
  readonly #topics: Map<string, MadeTopic>;
  /** As the checkpoint has them: the same object until one of them changes. */
  #topicsNow: Checkpoint['topics'] | null = null;
  #file: string;
  #position: number;
  #fileCreated: number;
  #last: Checkpoint['last'];
  #open: Transaction | null = null;
  #dirty = false;
  /** File and position are still those of another server: nothing came from this one yet. */
  #elsewhere: boolean;
  /** A file began since the connection was made, so that what was asked of the server then may be over. */
  #enteredFile = false;
  /** The table of the row before: mostly that of the next one, too. */
  #counted: { readonly table: TableName; readonly key: string } | null = null;
  readonly #next = { ordinal: 0, total: 0, inLog: false };

  /**
   * @param server the one that is read now; `last`: our last transaction where it stands there, for a server other
   *   than the checkpoint's
   */
  constructor(
    checkpoint: Checkpoint,
    server: { readonly uuid: string; readonly routing: string; readonly last?: Checkpoint['last'] },
  ) {
    this.serverUuid = server.uuid;
    this.#routing = server.routing;
    const { gtidSet, serverUuid } = checkpoint;
    this.#gtids = gtidSet === null ? null : executedGtids(gtidSet, serverUuid);
    const sameServer = server.uuid === checkpoint.serverUuid;
    // Places and header timestamps are a server's own: on another they would prove the wrong thing.
    this.#cut = new Map(
      checkpoint.open.map((open) => [
        open.transaction,
        sameServer ? open : { ...open, timestamp: null },
      ]),
    );
    this.prepared = new PreparedTransactions(
      carriedOver(checkpoint.prepared, {
        server: sameServer,
        routing: server.routing === checkpoint.routing,
      }),
    );
    this.hiding = new HidingTables(checkpoint.hiding ?? []);
    this.#topics = new Map(Object.entries(checkpoint.topics));
    this.#file = checkpoint.file;
    this.#position = checkpoint.position;
    this.#fileCreated = checkpoint.fileCreated;
    this.#last = sameServer ? checkpoint.last : (server.last ?? null);
    this.#elsewhere = !sameServer;
  }

  get transaction(): Transaction | null {
    return this.#open;
  }

  get gtidSet(): ExecutedGtids | null {
    return this.#gtids;
  }

  get filePosition(): { readonly file: string; readonly position: number } {
    return { file: this.#file, position: this.#position };
  }

  /** Something moved since the last checkpoint was taken. */
  get dirty(): boolean {
    return this.#dirty;
  }

  /** A file begins, or the dump begins in the middle of it. */
  enterFile(event: FormatDescription): void {
    // Two servers' files may have one name.
    if (event.file !== this.#file || this.#elsewhere) {
      assert(this.#open === null, 'a transaction is never split over two files');
      this.#elsewhere = false;
      this.#enteredFile = true;
      this.#file = event.file;
      this.#position = event.endPosition;
      this.#dirty = true;
    }
    this.#fileCreated = event.timestamp;
  }

  /**
   * An event between two transactions that says nothing of rows. MariaDB writes such events late, behind the last
   * transaction, and an idle source's end would never be reached. One that is not in the file leaves us where we are.
   */
  pass(event: EventPlace): void {
    const isInFile = event.endPosition > event.position;
    if (!isInFile || this.#open !== null || this.#elsewhere || event.file !== this.#file) return;
    if (event.endPosition <= this.#position) return;
    this.#position = event.endPosition;
    this.#dirty = true;
  }

  /**
   * @throws RowcallError POSITION_UNPROVEN: a transaction that was cut has another commit time now.
   *   GTID_MODE_CHANGED: transactions have GTIDs now, and our place has none.
   *   GTID_OUT_OF_ORDER
   */
  begin(event: GtidEvent): Transaction {
    this.#refuseNewGtids(event);
    if (this.#open !== null) this.#endImplicitly(event);
    const gtid = event.gtid === null ? null : formatAnyGtid(event.gtid);
    if (event.gtid !== null) this.#gtids?.requireNext(event.gtid);
    const id = gtid ?? this.#fileId(event);
    this.#proveCutIsSame(id, event);
    this.#file = event.file;
    this.#position = event.position;
    const commitUs = event.commitUs ?? event.timestamp * 1_000_000;
    this.#open = {
      id,
      gtid,
      begin: event,
      commitUs,
      tables: new Map(),
      rows: 0,
      // MariaDB has no BEGIN: what is not a single event ends with a commit.
      explicit: event.type === 'mariadb-gtid' && !event.standalone,
      thread: event.type === 'mariadb-gtid' ? event.thread : null,
      held: null,
    };
    return this.#open;
  }

  /** The open transaction as one that is prepared: what its XA COMMIT will need to know of it. */
  asPrepared(): PreparedTransaction {
    const { begin, gtid, held } = present(this.#open, 'the transaction that is prepared');
    const { xid, captured } = present(held, 'the XA transaction');
    const { file, position, commitUs, timestamp } = begin;
    const at = { file, position, fileCreated: this.#fileCreated };
    return { xid, gtid, commitUs, timestamp, captured, at };
  }

  /**
   * The numbers of the captured row at hand, which is not counted yet. `inLog` rows were appended before a
   * crash and are dropped.
   *
   * @returns good until the next call: an object for each row would be garbage by the million
   */
  nextRow(table: TableName): NextRow {
    const open = present(this.#open, 'the transaction of a row');
    const key = this.#keyOf(table);
    const ordinal = (open.tables.get(key)?.ordinal ?? 0) + 1;
    const cut = this.#cut.get(open.id)?.tables[key];
    const next = this.#next;
    next.ordinal = ordinal;
    next.total = open.rows + 1;
    next.inLog = cut !== undefined && ordinal <= cut.ordinal;
    return next;
  }

  /** Counts the row at hand: its records are with the appender. A row that cannot be encoded never counts. */
  countRow(table: Pick<TableVersion, 'schema' | 'table' | 'name' | 'primaryKey'>): void {
    const open = present(this.#open, 'the transaction of a row');
    const key = this.#keyOf(table);
    const counter = open.tables.get(key);
    const { name, primaryKey } = table;
    if (counter === undefined) {
      open.tables.set(key, { name, ordinal: 1, keyed: primaryKey !== null });
    } else counter.ordinal += 1;
    open.rows += 1;
    this.#dirty = true;
  }

  #keyOf(table: TableName): string {
    if (this.#counted?.table !== table) this.#counted = { table, key: tableKey(table) };
    return this.#counted.key;
  }

  /** The transaction is whole: its GTID joins the set, and we go on behind it. */
  commit(end: EventPlace): void {
    const open = present(this.#open, 'the transaction to commit');
    this.#proveCutIsOver(open);
    const { gtid } = open.begin;
    if (gtid !== null && this.#gtids !== null) this.#gtids.add(gtid);
    this.#last = {
      gtid: open.gtid,
      file: open.begin.file,
      position: open.begin.position,
      timestamp: open.begin.timestamp,
      commitUs: open.begin.commitUs,
    };
    this.#cut.delete(open.id);
    this.#open = null;
    this.#file = end.file;
    this.#position = end.endPosition;
    this.#dirty = true;
  }

  topicMade(name: string, topic: MadeTopic): void {
    this.#topics.set(name, topic);
    this.#topicsNow = null;
    this.#dirty = true;
  }

  topic(name: string): MadeTopic | undefined {
    return this.#topics.get(name);
  }

  get topics(): ReadonlyMap<string, MadeTopic> {
    return this.#topics;
  }

  /** The topic is from now on this table's; null: of the next one that is led there. */
  giveTopic(name: string, table: TableName | null, aggregateType?: string): void {
    const made = present(this.#topics.get(name), `topic ${name}`);
    this.topicMade(name, madeTopic(made, table, aggregateType));
  }

  /** Rows of this table go to the topic: remembered, as a DROP DATABASE does not name its tables. */
  tableSeen(name: string, table: TableName): void {
    const made = present(this.#topics.get(name), `topic ${name}`);
    if (made.table === null) this.giveTopic(name, table);
    else if (!isAmong(table, tablesOf(made))) {
      this.topicMade(name, { ...made, others: [...(made.others ?? []), table] });
    }
    if (isAmong(table, made.dropped)) this.#setDropped(name, table, []);
  }

  /** The topic has been told that the table is gone: a DROP DATABASE need not say it again until it has rows. */
  tableDropped(name: string, table: TableName): void {
    this.drops += 1;
    this.#setDropped(name, table, [table]);
  }

  #setDropped(name: string, table: TableName, to: readonly TableName[]): void {
    const { dropped = [], ...made } = present(this.#topics.get(name), `topic ${name}`);
    const all = [...dropped.filter((one) => !isAmong(one, [table])), ...to];
    this.topicMade(name, all.length === 0 ? made : { ...made, dropped: all });
  }

  /** Notes the shape of a table in the topic of shapes; false where it is the one noted last. */
  shapeSeen(name: string, table: string, hash: string): boolean {
    const made = present(this.#topics.get(name), `topic ${name}`);
    const { shapes = {} } = made;
    // A property of its own: a key is a JSON text, which no property of every object is called.
    if (shapes[table] === hash) return false;
    this.topicMade(name, { ...made, shapes: { ...shapes, [table]: hash } });
    return true;
  }

  /** Call it between two rows only, with the records of every row counted so far. */
  checkpoint(): Checkpoint {
    this.#dirty = false;
    this.#topicsNow ??= Object.fromEntries(this.#topics);
    return {
      version: 3,
      serverUuid: this.serverUuid,
      gtidSet: this.#gtids?.toString() ?? null,
      file: this.#file,
      position: this.#position,
      fileCreated: this.#fileCreated,
      last: this.#last,
      open: this.#openTransactions(),
      prepared: this.prepared.all,
      ...(this.hiding.all.length === 0 ? {} : { hiding: this.hiding.all }),
      topics: this.#topicsNow,
      routing: this.#routing,
    };
  }

  #openTransactions(): OpenTransaction[] {
    const open = [...this.#cut.values()].filter((cut) => cut.transaction !== this.#open?.id);
    if (this.#open === null || this.#open.rows === 0) {
      const cut = this.#open === null ? undefined : this.#cut.get(this.#open.id);
      return cut === undefined ? open : [...open, cut];
    }
    const tables: Record<string, { ordinal: number; keyed: boolean }> = {
      ...this.#cut.get(this.#open.id)?.tables,
    };
    for (const [key, { ordinal, keyed }] of this.#open.tables) {
      // Rows still being dropped are in the log: the greater ordinal is the true one.
      if ((tables[key]?.ordinal ?? 0) < ordinal) tables[key] = { ordinal, keyed };
    }
    const { begin, id: transaction } = this.#open;
    const { timestamp } = begin;
    return [...open, { transaction, commitUs: begin.commitUs, timestamp, tables }];
  }

  /**
   * A source that lost its last transactions in a crash gives their numbers to others, whose first rows would
   * pass for those in the log. The commit time tells them apart, on every server.
   */
  #proveCutIsSame(id: string, event: GtidEvent): void {
    const cut = this.#cut.get(id);
    if (cut === undefined) return;
    const commitUs = event.commitUs;
    const [was, is] =
      cut.commitUs !== null && commitUs !== null
        ? [cut.commitUs, commitUs]
        : [cut.timestamp, event.timestamp];
    // Another server's timestamp says nothing; without commit times its GTID has to do.
    if (was === null || was === is) return;
    throw new RowcallError(
      'POSITION_UNPROVEN',
      `Transaction ${id} was cut, and came again as another: it has the commit time ${is}, that of the rows in the log is ${was}`,
      { place: `${event.file}:${event.position}` },
    );
  }

  /** Every row that the log has of a cut transaction must have come again, or it is not the same one. */
  #proveCutIsOver(open: Transaction): void {
    const cut = this.#cut.get(open.id);
    if (cut === undefined) return;
    for (const [table, { ordinal }] of Object.entries(cut.tables)) {
      const came = open.tables.get(table)?.ordinal ?? 0;
      if (came < ordinal) {
        throw new RowcallError(
          'POSITION_UNPROVEN',
          `Transaction ${open.id} had ${ordinal} rows of ${table} in the log, but came again with ${came}`,
          {
            place: `${open.begin.file}:${open.begin.position}`,
            cure: 'Were tables rules changed while this transaction was cut? Go back to the earlier rules, or rowcall position set behind it.',
          },
        );
      }
    }
  }

  /**
   * gtid_mode begins a file when it is changed. Only at a connect can we ask whether it is ON, and only by GTIDs can we
   * go on at another server. Once for each file: where it is not ON, the session that began there goes on as it is.
   */
  #refuseNewGtids(event: GtidEvent): void {
    if (event.gtid === null || this.#gtids !== null || !this.#enteredFile) return;
    throw new RowcallError('GTID_MODE_CHANGED', 'The source gives its transactions GTIDs now', {
      place: formatPlace(event),
    });
  }

  /** A statement that is its own transaction ends without a commit event, when the next one begins. */
  #endImplicitly(next: EventPlace): void {
    const open = present(this.#open, 'the open transaction');
    if (open.explicit) {
      throw new RowcallError(
        'BINLOG_EVENT_MALFORMED',
        `Transaction ${open.id} has neither XID nor COMMIT before the next one begins`,
        { place: `${next.file}:${next.position}` },
      );
    }
    this.commit({ file: next.file, position: next.position, endPosition: next.position });
  }

  #fileId(event: EventPlace): string {
    return filePlaceId({
      serverUuid: this.serverUuid,
      file: event.file,
      fileCreated: this.#fileCreated,
      position: event.position,
    });
  }
}
