/** Statements that stand in the binlog ahead of where the capture reads. */

import { RowcallError } from '../../../errors.ts';
import { comparePlaces, type FilePosition, formatPlace } from '../../../position.ts';
import type { Logger } from '../../../shared/logger.ts';
import { FIRST_POSITION } from '../../binlog/event-parser.ts';
import { mayChangeSomeTypes } from '../../binlog/may-change-types.ts';
import { type DumpAccess, readEvents } from '../read-place.ts';

export interface StatementAhead extends FilePosition {
  readonly sql: string;
}

/** Characters of statements kept; what is longer ago is read again where it is asked for. */
const MAX_CHARACTERS = 4 * 1024 * 1024;
/** Of a look that is worth a word. */
const LONG_LOOK_BYTES = 256 * 1024 * 1024;

/** A dump by place has 32 bits for it. */
const MAX_DUMP_POSITION = 0xffff_ffff;

/**
 * Reads each piece of the binlog once, as long as the questions go forward. Invariant: `#kept` has every statement
 * between `#from` and `#to` that may have changed types of columns; a look that did not come to its end is an error,
 * never an answer.
 */
export class StatementsAhead {
  readonly #access: DumpAccess;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;
  readonly #maxCharacters: number;
  #from: FilePosition | null = null;
  #to: FilePosition | null = null;
  #kept: StatementAhead[] = [];
  #characters = 0;

  constructor(
    access: DumpAccess,
    logger: Logger,
    signal: AbortSignal,
    maxCharacters = MAX_CHARACTERS,
  ) {
    this.#access = access;
    this.#logger = logger;
    this.#signal = signal;
    this.#maxCharacters = maxCharacters;
  }

  /**
   * The first statement between the two places of which it is true.
   *
   * @throws RowcallError as a binlog stream does; the signal's reason
   */
  async find(
    from: FilePosition,
    to: FilePosition,
    isIt: (statement: StatementAhead) => boolean,
  ): Promise<StatementAhead | undefined> {
    const wanted = (statement: StatementAhead): boolean =>
      comparePlaces(statement, from) >= 0 && isIt(statement);
    if (!this.#knows(from)) this.#dropUpTo(from);
    let found = this.#kept.find(wanted);
    for await (const statement of this.#readTo(this.#to ?? from, to)) {
      if (found === undefined && wanted(statement)) found = statement;
      this.#keep(statement);
    }
    return found;
  }

  #knows(place: FilePosition): boolean {
    if (this.#from === null || this.#to === null) return false;
    return comparePlaces(this.#from, place) <= 0 && comparePlaces(place, this.#to) <= 0;
  }

  #dropUpTo(place: FilePosition): void {
    this.#from = place;
    this.#to = place;
    this.#kept = [];
    this.#characters = 0;
  }

  async *#readTo(
    start: FilePosition,
    end: FilePosition,
  ): AsyncGenerator<StatementAhead, void, void> {
    if (comparePlaces(start, end) >= 0) return;
    const { file, position } = start;
    if (file !== end.file || end.position - position > LONG_LOOK_BYTES) {
      const places = { from: formatPlace(start), to: formatPlace(end) };
      this.#logger.info(places, 'Looking ahead in the binlog for statements that alter tables');
    }
    const from = { file, position: position > MAX_DUMP_POSITION ? FIRST_POSITION : position };
    for await (const event of readEvents(this.#access, from, this.#signal, 'outcomes')) {
      // What a dump brings along stands nowhere in the file.
      if (event.position === event.endPosition) continue;
      if (event.type === 'query' && mayChangeSomeTypes(event.sql)) {
        yield { file: event.file, position: event.position, sql: event.sql };
      }
      this.#to = { file: event.file, position: event.endPosition };
      if (comparePlaces(this.#to, end) >= 0) return;
    }
    throw new RowcallError('SOURCE_LOST', 'The look ahead in the binlog ended before its end', {
      place: formatPlace(this.#to ?? start),
    });
  }

  #keep(statement: StatementAhead): void {
    this.#kept.push(statement);
    this.#characters += statement.sql.length;
    if (this.#characters <= this.#maxCharacters) return;
    // A question from further back reads them again.
    this.#dropUpTo({ file: statement.file, position: statement.position + 1 });
  }
}
