/** The columns of a table's events and of its key, each with how the rule wants it: made once per table version. */

import { RowcallError } from '../../errors.ts';
import { valueReader, valueSkipper } from '../decode/column-reader.ts';
import { RENDERED, type Column } from '../decode/column.ts';
import { debeziumEncoding, type Encoding } from '../decode/render/debezium-values.ts';
import { isText, jsonKind, MASKS, passesDouble } from '../decode/render/kind.ts';
import {
  hashing,
  masked,
  treated,
  treatedText,
  truncating,
  type Treatment,
} from '../decode/render/treatment.ts';
import { textOf } from '../decode/json-text.ts';
import type { TableVersion } from '../decode/table-map.ts';
import type { ValueReader } from '../decode/types/value-reader.ts';
import type { FullTableRule } from './table-rule.ts';

export interface EventColumns {
  /** In the table's order. */
  readonly columns: readonly Column[];
  /** In the key's order, with their names in the key; null for a table without a key. */
  readonly key: readonly Column[] | null;
}

/** @throws RowcallError KEY_COLUMN_MISSING, KEY_COLUMN_ALTERED, COLUMN_RULE_UNFIT */
export function eventColumns(table: TableVersion, rule: FullTableRule): EventColumns {
  const chosen = chosenColumns(table, rule);
  const treatments = new Treatments(table, rule);
  const key = keyOf(table, rule, chosen);
  for (const { index } of key ?? []) {
    const column = table.columns[index];
    if (column !== undefined) treatments.refuseKey(column);
  }
  return { columns: chosen.map((column) => treatments.rendered(column)), key };
}

/**
 * All columns of a table as the rule lets their values be seen, for who looks at rows and makes no events: what has no
 * place in an event is hidden, and the rule's own form of numbers and times is left out.
 *
 * @throws RowcallError COLUMN_RULE_UNFIT
 */
export function shownColumns(table: TableVersion, rule: FullTableRule): readonly Column[] {
  const treatments = new Treatments(table, { ...rule, values: 'rowcall', bigint: 'number' });
  const chosen = new Set(chosenColumns(table, rule));
  return table.columns.map((column) =>
    chosen.has(column) ? treatments.rendered(column) : { ...column, hidden: true },
  );
}

function chosenColumns(table: TableVersion, rule: FullTableRule): readonly Column[] {
  const excluded = new Set(rule.excludeColumns.map(folded));
  const included = rule.includeColumns === null ? null : new Set(rule.includeColumns.map(folded));
  return table.columns.filter(
    ({ hidden, name }) =>
      !hidden && !excluded.has(folded(name)) && included?.has(folded(name)) !== false,
  );
}

/** MySQL tells no column from another by the case of its letters, so a mask must not either. */
export function folded(name: string): string {
  return name.toLowerCase();
}

/** The rule's columns, else the table's own key. */
function keyOf(
  table: TableVersion,
  rule: FullTableRule,
  columns: readonly Column[],
): readonly Column[] | null {
  const wanted = keyNames(table, rule);
  if (wanted === null || wanted.length === 0) return null;
  return wanted.map(([field, name]) => {
    const column = columns.find((candidate) => folded(candidate.name) === folded(name));
    if (column !== undefined) return { ...column, name: field ?? column.name };
    throw new RowcallError(
      'KEY_COLUMN_MISSING',
      `The key column ${name} is not among the columns of the event`,
      { place: `table ${table.name}` },
    );
  });
}

/** Name in the key (null: the column's own) and name of the column. */
function keyNames(
  table: TableVersion,
  rule: FullTableRule,
): readonly (readonly [field: string | null, column: string])[] | null {
  if (rule.key === null) {
    return table.primaryKey?.map(({ column }) => [null, column.name] as const) ?? null;
  }
  if (Array.isArray(rule.key)) return (rule.key as string[]).map((name) => [null, name] as const);
  return Object.entries(rule.key as Readonly<Record<string, string>>);
}

/** What the rule does to the columns of one table. */
class Treatments {
  readonly #table: TableVersion;
  readonly #rule: FullTableRule;
  readonly #masked: ReadonlySet<string>;
  readonly #hashed: ReadonlySet<string>;
  readonly #truncated: ReadonlyMap<string, number>;
  readonly #hash: Treatment | null;

  constructor(table: TableVersion, rule: FullTableRule) {
    this.#table = table;
    this.#rule = rule;
    this.#masked = new Set(rule.maskColumns.map(folded));
    this.#hashed = new Set((rule.hashColumns?.columns ?? []).map(folded));
    this.#truncated = new Map(
      Object.entries(rule.truncateColumns).map(([name, characters]) => [folded(name), characters]),
    );
    this.#hash = rule.hashColumns === null ? null : hashing(rule.hashColumns.key.reveal());
  }

  /** Values that are hidden or shortened are alike for different rows: as keys they would mix their order. */
  refuseKey({ name }: Column): void {
    const at = folded(name);
    const what = [
      ...(this.#masked.has(at) ? ['mask'] : []),
      ...(this.#hashed.has(at) ? ['hash'] : []),
      ...(this.#truncated.has(at) ? ['truncate'] : []),
    ];
    if (what.length === 0) return;
    throw new RowcallError(
      'KEY_COLUMN_ALTERED',
      `The key column ${name} is under columns.${what.join(' and columns.')}`,
      { place: `table ${this.#table.name}` },
    );
  }

  /** The column itself where its values stay as they are. */
  rendered(column: Column): Column {
    const at = folded(column.name);
    const encoding = encodingOf(column, this.#rule);
    if (this.#masked.has(at)) {
      const mask = MASKS[encoding?.kind ?? jsonKind(column)];
      // Whatever its type is: no one is to see a value of it.
      const { candidates, ...known } = column;
      return {
        ...withReader(candidates === undefined ? column : known, () =>
          masked(valueSkipper(column), mask),
        ),
        render: () => mask,
      };
    }
    const treatment = this.#treatment(column);
    if (encoding === null && treatment === null) return column;
    const encode = encoding?.encode ?? ((value) => value);
    const whole = withReader(column, () => {
      const plain = encodedReader(valueReader(column), encoding);
      return treatment === null ? plain : treated(plain, treatment);
    });
    const render: Column['render'] = (read) =>
      treatment === null ? encode(read()) : treatedText(() => encode(read()), treatment);
    return { ...whole, render };
  }

  #treatment(column: Column): Treatment | null {
    const at = folded(column.name);
    if (this.#hashed.has(at)) return this.#hash;
    const characters = this.#truncated.get(at);
    if (characters === undefined) return null;
    if (isText(column)) return truncating(characters);
    throw new RowcallError(
      'COLUMN_RULE_UNFIT',
      `columns.truncate names ${column.name}, which is no text: a part of its value would be another value`,
      {
        place: `table ${this.#table.name}`,
        cure: `Take ${column.name} out of columns.truncate, or mask or hash it; or give the table a rule of its own in front of this one.`,
      },
    );
  }
}

function withReader(column: Column, reader: () => ValueReader): Column {
  return { ...column, type: RENDERED, reader };
}

function encodingOf(column: Column, rule: FullTableRule): Encoding | null {
  if (rule.bigint === 'string' && passesDouble(column)) return AS_TEXT;
  return rule.values === 'debezium' ? debeziumEncoding(column) : null;
}

const AS_TEXT: Encoding = { kind: 'text', encode: (value) => `"${textOf(value)}"` };

function encodedReader(plain: ValueReader, encoding: Encoding | null): ValueReader {
  if (encoding === null) return plain;
  const { encode } = encoding;
  return { read: (reader) => encode(plain.read(reader)), skip: plain.skip };
}
