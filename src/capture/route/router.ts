/** Which tables are captured, into which topic, with which key and columns. */

import { createHash } from 'node:crypto';
import { RowcallError } from '../../errors.ts';
import type { TableName } from '../../position.ts';
import { globPattern, globPrefixPattern } from '../../shared/glob.ts';
import type { Column } from '../decode/column.ts';
import type { TableVersion } from '../decode/table-map.ts';
import { TopicNames } from './topic-name.ts';

/** One entry of `tables`. */
export interface TableRule {
  /** Globs on schema.table. A table matches with at least one of them and none of those behind `!`. */
  readonly match: readonly string[];
  /** Template with {name}, {schema} and {table}. */
  readonly topic: string;
  /** Key columns; null for the primary key. */
  readonly key: readonly string[] | null;
  /** Names of columns that stay out of the event; one that a table does not have is no error. */
  readonly excludeColumns: readonly string[];
}

/** Where the rows of one table version go. */
export interface Route {
  readonly table: TableVersion;
  readonly topic: string;
  /** The columns of the event, in the table's order. */
  readonly columns: readonly Column[];
  /** The columns of the key, in the key's order; null for a table without a key. */
  readonly key: readonly Column[] | null;
}

export interface Router {
  /**
   * The first rule that matches; null when none does. The same object for the same table version.
   *
   * @throws RowcallError of a captured table: its map's defect (ROW_METADATA_MISSING and others),
   *   KEY_COLUMN_MISSING, TOPIC_COLLISION, TOPIC_INVALID
   */
  route(table: TableVersion): Route | null;

  /**
   * Tells of a topic that was made for a table at an earlier start, so that no other table takes it unseen.
   *
   * @returns false where the rules lead the table elsewhere by now, or nowhere
   * @throws RowcallError TOPIC_COLLISION
   */
  keepTopic(topic: string, table: TableName): boolean;

  /** Whether a table of this name would be captured, whatever its columns. */
  couldCapture(schema: string, table: string): boolean;

  /** Whether any table of this schema could be captured: never false where one could, perhaps true too often. */
  couldCaptureSchema(schema: string): boolean;
}

/** The server's own; their rows are no one's data. */
export const SYSTEM_SCHEMAS: ReadonlySet<string> = new Set([
  'mysql',
  'information_schema',
  'performance_schema',
  'sys',
]);

export function createRouter(options: {
  /** The configuration's `name`. */
  readonly name: string;
  readonly rules: readonly TableRule[];
}): Router {
  return new RuleRouter(options.name, options.rules);
}

/** Identifies the rules: another hash means that rows may go elsewhere than before. */
export function routingHash(rules: readonly TableRule[]): string {
  const canonical = rules.map(({ match, topic, key, excludeColumns }) => [
    match,
    topic,
    key,
    excludeColumns,
  ]);
  return createHash('sha256').update(JSON.stringify(canonical)).digest('hex');
}

interface CompiledRule {
  readonly rule: TableRule;
  readonly included: readonly RegExp[];
  readonly excluded: readonly RegExp[];
  readonly includedPrefixes: readonly RegExp[];
}

function compile(rule: TableRule): CompiledRule {
  const included = rule.match.filter((glob) => !glob.startsWith('!'));
  const excluded = rule.match.filter((glob) => glob.startsWith('!'));
  return {
    rule,
    included: included.map(globPattern),
    excluded: excluded.map((glob) => globPattern(glob.slice(1))),
    includedPrefixes: included.map(globPrefixPattern),
  };
}

class RuleRouter implements Router {
  readonly #rules: readonly CompiledRule[];
  readonly #topics: TopicNames;
  readonly #routes = new WeakMap<TableVersion, { readonly route: Route | null }>();

  constructor(name: string, rules: readonly TableRule[]) {
    this.#rules = rules.map(compile);
    this.#topics = new TopicNames(name);
  }

  route(table: TableVersion): Route | null {
    let known = this.#routes.get(table);
    if (known === undefined) {
      known = { route: this.#build(table) };
      this.#routes.set(table, known);
    }
    return known.route;
  }

  keepTopic(topic: string, table: TableName): boolean {
    const rule = this.#ruleFor(table.schema, `${table.schema}.${table.table}`);
    return rule !== null && this.#topics.keep(topic, rule.topic, table);
  }

  couldCapture(schema: string, table: string): boolean {
    return this.#ruleFor(schema, `${schema}.${table}`) !== null;
  }

  couldCaptureSchema(schema: string): boolean {
    if (SYSTEM_SCHEMAS.has(schema)) return false;
    return this.#rules.some((rule) =>
      rule.includedPrefixes.some((prefix) => prefix.test(`${schema}.`)),
    );
  }

  #ruleFor(schema: string, name: string): TableRule | null {
    if (SYSTEM_SCHEMAS.has(schema)) return null;
    const found = this.#rules.find(
      ({ included, excluded }) =>
        included.some((glob) => glob.test(name)) && !excluded.some((glob) => glob.test(name)),
    );
    return found?.rule ?? null;
  }

  #build(table: TableVersion): Route | null {
    const rule = this.#ruleFor(table.schema, table.name);
    if (rule === null) return null;
    if (table.defect !== null) {
      const { code, message, place, cure } = table.defect;
      const name = `table ${table.name}`;
      throw new RowcallError(code, message, {
        place: place === undefined ? name : `${place}, ${name}`,
        ...(cure === undefined ? {} : { cure }),
      });
    }
    const excluded = new Set(rule.excludeColumns);
    const columns = table.columns.filter(({ hidden, name }) => !hidden && !excluded.has(name));
    return {
      table,
      topic: this.#topics.topicOf(rule.topic, table),
      columns,
      key: keyOf(table, rule, columns),
    };
  }
}

/** The rule's columns, else the table's own key. */
function keyOf(
  table: TableVersion,
  rule: TableRule,
  columns: readonly Column[],
): readonly Column[] | null {
  const names = rule.key ?? table.primaryKey?.map(({ column }) => column.name) ?? null;
  if (names === null || names.length === 0) return null;
  return names.map((name) => {
    const column = columns.find((candidate) => candidate.name === name);
    if (column !== undefined) return column;
    throw new RowcallError(
      'KEY_COLUMN_MISSING',
      `The key column ${name} is not among the columns of the event`,
      { place: `table ${table.name}` },
    );
  });
}
