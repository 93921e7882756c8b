/** The source of a simulation: a history of transactions, its binlog, and the records that must come of it. */
import type { BinlogEvent, RowOperation } from '../../src/capture/binlog/binlog-event.ts';
import { filePlaceId } from '../../src/change-event.ts';
import {
  type EventBody,
  gtidEvent,
  query,
  rows,
  type SampleRow,
  type SampleTable,
  tableMap,
} from './binlog-events.ts';
import {
  addRecords,
  type Change,
  type ExpectedRecord,
  type Made,
  OUTBOX_TABLE,
  truncated,
} from './simulation-expected.ts';
import { EPOCH_MS } from './simulation-scheduler.ts';
import type { Dice } from './workload-random.ts';

export const SERVER_UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
/** GTIDs executed before the history begins. */
export const EXECUTED_BEFORE = 4;
export interface SourceTransaction {
  readonly index: number;
  /** First part of its event ids. */
  readonly id: string;
  readonly file: string;
  readonly begin: number;
  readonly end: number;
  /** Virtual milliseconds: before, nobody can read it. */
  readonly committedAt: number;
  readonly events: readonly BinlogEvent[];
  readonly records: readonly ExpectedRecord[];
}

export interface SourceFile {
  readonly name: string;
  readonly created: number;
  /** What a dump of the file begins with. */
  readonly head: readonly BinlogEvent[];
  readonly headEnd: number;
  /** The rotation to the next file; null in the last one. */
  rotate: BinlogEvent | null;
}

export interface HistoryShape {
  readonly gtids: boolean;
  readonly transactions: number;
  /** Rows of the largest transactions. */
  readonly largest: number;
  /** XA transactions among the others. */
  readonly xa: boolean;
  /** Of every topic. */
  readonly partitions: number;
  /** One of the tables is an outbox. */
  readonly outbox: boolean;
}

interface TableState {
  shape: SampleTable;
  readonly captured: boolean;
  /** Rows by id; for the keyless table by insertion. */
  readonly rows: SampleRow[];
}

interface OpenTransaction extends Omit<SourceTransaction, 'end'> {
  readonly outbox: boolean;
  readonly events: BinlogEvent[];
  readonly records: ExpectedRecord[];
}

const IDS = 6;
const HEADER_END = 126;

/** Builds a whole history at once; the source shows each transaction from its commit time on. */
export class History {
  readonly gtids: boolean;
  readonly partitions: number;
  readonly outbox: boolean;
  readonly files: SourceFile[] = [];
  readonly transactions: SourceTransaction[] = [];
  readonly #dice: Dice;
  /** Of its own, so that the rest of a history is the same with truncates and without. */
  readonly #emptyDice: Dice;
  /** Tables that have had a record, so that they have a topic. */
  readonly #withTopic = new Set<string>();
  /** Those of them that were dropped and had no row since: a DROP DATABASE does not say it again. */
  readonly #dropped = new Set<string>();
  readonly #tables: readonly TableState[];
  #position = 0;
  #committedAt = 0;
  #value = 0;

  constructor(dice: Dice, emptyDice: Dice, shape: HistoryShape) {
    this.#dice = dice;
    this.#emptyDice = emptyDice;
    this.gtids = shape.gtids;
    this.partitions = shape.partitions;
    this.outbox = shape.outbox;
    const table = (name: string, keyed: boolean, tableId: number): SampleTable => ({
      schema: 'shop',
      table: name,
      keyed,
      wide: false,
      tableId,
    });
    this.#tables = [
      { shape: table('orders', true, 101), captured: true, rows: [] },
      { shape: table('items', true, 102), captured: true, rows: [] },
      { shape: table('audit.log', false, 103), captured: true, rows: [] },
      { shape: table('secret', true, 104), captured: false, rows: [] },
    ];
    this.#openFile();
    while (this.transactions.length < shape.transactions) {
      if (this.transactions.length > 0 && dice.chance(0.05)) this.#rotate();
      if (shape.xa && dice.chance(0.3)) this.#xa(shape.largest);
      else this.#transaction(shape.largest);
    }
  }

  get isEmpty(): boolean {
    return this.transactions.every(({ records }) => records.length === 0);
  }

  /** The events of a transaction, or of nothing: what a checkpoint at this place goes on with. */
  firstFrom(file: string, position: number): number {
    const order = this.files.findIndex(({ name }) => name === file);
    const found = this.transactions.findIndex((one) => {
      const its = this.files.findIndex(({ name }) => name === one.file);
      return its > order || (its === order && one.begin >= position);
    });
    return found < 0 ? this.transactions.length : found;
  }

  file(name: string): SourceFile {
    const file = this.files.find((one) => one.name === name);
    if (file === undefined) throw new Error(`The source has no file ${name}`);
    return file;
  }

  #openFile(): void {
    const name = `binlog.${String(this.files.length + 1).padStart(6, '0')}`;
    const created = Math.floor(EPOCH_MS / 1000) + this.files.length;
    const head = { file: name, timestamp: created, serverId: 1, bytes: HEADER_END - 4 };
    const description: BinlogEvent = {
      type: 'format-description',
      serverVersion: '8.4.0',
      created,
      checksum: 'crc32',
      ...head,
      position: 4,
      endPosition: HEADER_END,
    };
    this.#position = HEADER_END;
    this.files.push({ name, created, head: [description], headEnd: HEADER_END, rotate: null });
  }

  #rotate(): void {
    const file = this.#file();
    const nextFile = `binlog.${String(this.files.length + 1).padStart(6, '0')}`;
    file.rotate = this.#place({ type: 'rotate', nextFile, nextPosition: 4, artificial: false });
    this.#openFile();
  }

  #file(): SourceFile {
    const file = this.files.at(-1);
    if (file === undefined) throw new Error('No file');
    return file;
  }

  #place(body: EventBody): BinlogEvent {
    const bytes = 30 + this.#dice.below(40);
    const position = this.#position;
    this.#position += bytes;
    const at = { file: this.#file().name, position, endPosition: this.#position, bytes };
    const timestamp = Math.floor((EPOCH_MS + this.#committedAt) / 1000);
    return { ...body, ...at, timestamp, serverId: 1 };
  }

  #transaction(largest: number, tables = this.#tables): void {
    const open = this.#begin();
    // While a transaction is prepared its tables cannot be altered.
    if (tables === this.#tables && this.#dice.chance(0.08)) this.#alter(open.events);
    else if (this.#emptyDice.chance(0.1)) this.#empty(open, tables);
    else this.#changes(open, largest, tables);
    this.#end(open);
  }

  #end(open: OpenTransaction): void {
    for (const { table, operation } of open.records) {
      this.#withTopic.add(table);
      if (operation !== 't') this.#dropped.delete(table);
    }
    this.transactions.push({ ...open, end: this.#position });
  }

  #begin(): OpenTransaction {
    this.#committedAt += this.#dice.chance(0.3) ? 0 : this.#dice.below(400);
    const index = this.transactions.length;
    const gno = BigInt(EXECUTED_BEFORE + 1 + index);
    const begin = this.#position;
    const file = this.#file();
    const id = this.gtids
      ? `${SERVER_UUID}:${gno}`
      : filePlaceId({
          serverUuid: SERVER_UUID,
          file: file.name,
          fileCreated: file.created,
          position: begin,
        });
    const gtid = this.gtids ? { uuid: SERVER_UUID, tag: '', gno } : null;
    const events = [this.#place(gtidEvent(gtid, (EPOCH_MS + this.#committedAt) * 1000))];
    const committedAt = this.#committedAt;
    const { outbox } = this;
    return { index, id, file: file.name, begin, committedAt, events, records: [], outbox };
  }

  /**
   * Prepared, and ended after others: those that come between touch other tables, as the rows of this one are locked.
   * Or of one phase.
   */
  #xa(largest: number, tables = this.#tables): void {
    const dice = this.#dice;
    const state = dice.pick(tables as [TableState, ...TableState[]]);
    const before = [...state.rows];
    const open = this.#begin();
    const gtrid = open.index.toString(16).padStart(4, '0');
    const xid = `X'${gtrid}',X'',1`;
    const onePhase = dice.chance(0.3);
    const made: Made[] = [];
    open.events.push(this.#place(query('', `XA START ${xid}`)));
    for (let n = dice.between(0, 3); n > 0; n -= 1) {
      made.push(...this.#rowsOf(open.events, state, largest));
    }
    open.events.push(
      this.#place(query('', `XA END ${xid}`)),
      this.#place({ type: 'xa-prepare', xid: { gtrid, bqual: '', formatId: 1 }, onePhase }),
    );
    if (onePhase) addRecords(open, made);
    this.#end(open);
    if (onePhase) return;
    const others = tables.filter((other) => other !== state);
    for (let n = dice.between(0, 3); n > 0; n -= 1) {
      if (dice.chance(0.2)) this.#rotate();
      if (dice.chance(0.3) && others.length > 1) this.#xa(largest, others);
      else this.#transaction(largest, others);
    }
    const outcome = this.#begin();
    const commits = dice.chance(0.7);
    outcome.events.push(this.#place(query('', `XA ${commits ? 'COMMIT' : 'ROLLBACK'} ${xid}`)));
    if (commits) addRecords(outcome, made);
    else state.rows.splice(0, state.rows.length, ...before);
    this.#end(outcome);
  }

  /** DDL; sometimes one that widens a table, which its next table map shows. */
  #alter(events: BinlogEvent[]): void {
    const [state] = this.#tables;
    if (state !== undefined && !state.shape.wide && this.#dice.chance(0.5)) {
      state.shape = { ...state.shape, wide: true, tableId: state.shape.tableId + 100 };
      state.rows.forEach((row, at) => (state.rows[at] = { ...row, note: null }));
      events.push(this.#place(query('shop', 'ALTER TABLE orders ADD COLUMN note VARCHAR(40)')));
    } else {
      events.push(this.#place(query('shop', `CREATE INDEX i ON items (name)`)));
    }
  }

  /** TRUNCATE, or DROP of tables that are there again when their next row comes. */
  #empty(open: OpenTransaction, tables: readonly TableState[]): void {
    const one = this.#emptyDice.pick(tables as [TableState, ...TableState[]]);
    const names = tables.map(({ shape }) => `\`shop\`.\`${shape.table}\``).join(', ');
    const [sql, states] = this.#emptyDice.pick<readonly [string, readonly TableState[]]>([
      [`TRUNCATE TABLE \`${one.shape.table}\``, [one]],
      [`/* all */ truncate shop.\`${one.shape.table}\``, [one]],
      [`DROP TABLE IF EXISTS ${names} /* generated by server */`, tables],
      // Not while one of its tables is locked by a prepared transaction.
      tables === this.#tables
        ? ['DROP DATABASE shop', tables]
        : [`TRUNCATE\n${one.shape.table === 'audit.log' ? '`audit.log`' : one.shape.table}`, [one]],
    ]);
    open.events.push(this.#place(query('shop', sql)));
    for (const state of states) {
      state.rows.length = 0;
      state.shape = { ...state.shape, tableId: state.shape.tableId + 10 };
      const table = `shop.${state.shape.table}`;
      const isOutbox = this.outbox && table === OUTBOX_TABLE;
      const isThere = !sql.startsWith('DROP DATABASE') || !this.#dropped.has(table);
      const isExpected = state.captured && !isOutbox && this.#withTopic.has(table) && isThere;
      if (isExpected) open.records.push(truncated(state.shape, open));
      if (sql.startsWith('DROP')) this.#dropped.add(table);
    }
  }

  #changes(open: OpenTransaction, largest: number, tables: readonly TableState[]): void {
    const dice = this.#dice;
    open.events.push(this.#place(query('shop', 'BEGIN')));
    const statements = dice.chance(0.08) ? 0 : dice.between(1, 3);
    const made: Made[] = [];
    for (let n = 0; n < statements; n += 1) {
      const state = dice.pick(tables as [TableState, ...TableState[]]);
      made.push(...this.#rowsOf(open.events, state, largest));
    }
    addRecords(open, made);
    const ends: EventBody =
      open.records.length === 0 || dice.chance(0.1)
        ? query('shop', 'COMMIT')
        : { type: 'xid', xid: BigInt(open.index) };
    open.events.push(this.#place(ends));
  }

  /** The events of one statement; the changes of it that must come. */
  #rowsOf(events: BinlogEvent[], state: TableState, largest: number): Made[] {
    const { shape } = state;
    const count = this.#dice.chance(0.15)
      ? this.#dice.between(1, largest)
      : this.#dice.between(1, 3);
    const made: Made[] = [];
    for (const { operation, changes } of this.#statement(state, count)) {
      events.push(this.#place(tableMap(shape)));
      const images = changes.flatMap(({ before, after }) =>
        [before, after].filter((image) => image !== null),
      );
      events.push(this.#place(rows(shape, operation, images)));
      if (state.captured) made.push(...changes.map((change) => ({ shape, change })));
    }
    return made;
  }

  /** One statement's rows events, each of one operation. */
  #statement(
    state: TableState,
    count: number,
  ): { operation: RowOperation; changes: readonly Change[] }[] {
    const made: { operation: RowOperation; changes: Change[] }[] = [];
    for (let n = 0; n < count; n += 1) {
      const change = this.#change(state);
      const last = made.at(-1);
      if (last?.operation === change.operation && last.changes.length < 8) {
        last.changes.push(change);
      } else {
        made.push({ operation: change.operation, changes: [change] });
      }
    }
    return made;
  }

  #change(state: TableState): Change {
    const dice = this.#dice;
    const { rows: all, shape } = state;
    const at = dice.below(all.length);
    const before = all[at];
    const free = Array.from({ length: IDS }, (_, id) => id + 1).filter(
      (id) => !shape.keyed || !all.some((row) => row.id === id),
    );
    const id = free[dice.below(free.length)];
    const roll = dice.below(10);
    if (before === undefined || (roll < 4 && id !== undefined)) {
      const after = this.#row(id ?? 1, shape);
      all.push(after);
      return { operation: 'insert', before: null, after };
    }
    if (roll < 6) {
      all.splice(at, 1);
      return { operation: 'delete', before, after: null };
    }
    // Now and then the key changes.
    const after = this.#row(roll === 9 && id !== undefined ? id : before.id, shape);
    if (dice.chance(0.2)) all[at] = { ...after, name: before.name };
    else all[at] = after;
    return { operation: 'update', before, after: all[at] };
  }

  #row(id: number, { wide, table }: SampleTable): SampleRow {
    this.#value += 1;
    const isOutbox = this.outbox && `shop.${table}` === OUTBOX_TABLE;
    // Few aggregate types, so that each has several events, and some of them come late.
    const name = isOutbox ? `type${this.#value % 3}` : `v${this.#value}`;
    return wide
      ? { id, name, note: this.#dice.chance(0.5) ? null : `n${this.#value}` }
      : { id, name };
  }
}
