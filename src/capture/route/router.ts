/** Which tables are captured, into which topic, with which key and columns. */

import { RowcallError } from '../../errors.ts';
import { globPattern, globPrefixPattern } from '../../shared/glob.ts';
import type { TableName } from '../../position.ts';
import type { Column } from '../decode/column.ts';
import {
  isOfOpenWidth,
  mayBePeriod,
  type ToldTypes,
  toldByRule,
  withoutOpenPeriod,
  withToldTypes,
} from '../decode/mariadb-columns.ts';
import type { TableVersion } from '../decode/table-map.ts';
import { eventColumns } from './event-columns.ts';
import { type FullTableRule, fullRule, type TableRule } from './table-rule.ts';
import { type OutboxColumns, outboxColumns } from './outbox-columns.ts';
import { TopicNames, type TopicSource } from './topic-name.ts';

/** Where the rows of one table version go. */
export interface Route {
  readonly table: TableVersion;
  /** Of an outbox table: null, since each row has one of its own (`outboxTopic`). */
  readonly topic: string | null;
  /** The columns of the event, in the table's order; those rendered in a way of their own are of the type RENDERED. */
  readonly columns: readonly Column[];
  /** The columns of the key, in the key's order, with their names in the key; null for a table without a key. */
  readonly key: readonly Column[] | null;
  readonly rule: FullTableRule;
  /** Columns of which neither the binlog nor the rule tells what has to be known. */
  readonly open: readonly Column[];
  /** Of an outbox table: which of `columns` is what. */
  readonly outbox: OutboxColumns | null;
}

/** Of a table whose rows all go to one topic. */
export type TopicRoute = Route & { readonly topic: string };

export interface Router {
  /**
   * The first rule that matches; null when none does. The same object for the same table version.
   *
   * @throws RowcallError of a captured table: its map's defect (ROW_METADATA_MISSING and others),
   *   KEY_COLUMN_MISSING, KEY_COLUMN_ALTERED, COLUMN_RULE_UNFIT, TOPIC_COLLISION, TOPIC_INVALID
   */
  route(table: TableVersion): Route | null;

  /**
   * The same with the types of its open columns, once they are known: they hold until the table is altered, which is
   * for the caller to notice. @throws RowcallError as `route`
   */
  settled(route: Route, types: ToldTypes): Route;

  /** The topic of an outbox table's row. @throws RowcallError TOPIC_COLLISION, TOPIC_INVALID */
  outboxTopic(route: Route, aggregateType: string): string;

  /**
   * Tells of a topic that was made for a table at an earlier start, so that no other table takes it unseen.
   *
   * @returns false where the rules lead the table elsewhere by now, or nowhere
   * @throws RowcallError TOPIC_COLLISION
   */
  keepTopic(topic: string, table: TopicSource): boolean;

  /**
   * Where the event of its TRUNCATE or DROP goes, by name alone: without columns and key. Null where the table is not
   * captured, is an outbox, its rule says `truncate: skip`, or the topic is another table's.
   */
  truncation(table: TableName): TopicRoute | null;

  /** The rule that a table of this name comes under; null where none does. */
  ruleOf(table: TableName): FullTableRule | null;

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

interface CompiledRule {
  readonly rule: FullTableRule;
  readonly included: readonly RegExp[];
  readonly excluded: readonly RegExp[];
  readonly includedPrefixes: readonly RegExp[];
}

function compile(rule: TableRule): CompiledRule {
  const included = rule.match.filter((glob) => !glob.startsWith('!'));
  const excluded = rule.match.filter((glob) => glob.startsWith('!'));
  return {
    rule: fullRule(rule),
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

  settled(route: Route, types: ToldTypes): Route {
    const table = withToldTypes(route.table, types);
    return { ...route, table, ...shapeOf(table, route.rule), open: [] };
  }

  keepTopic(topic: string, table: TopicSource): boolean {
    const rule = this.#ruleFor(table.schema, `${table.schema}.${table.table}`);
    return rule !== null && this.#topics.keep(topic, rule.topic, table);
  }

  outboxTopic({ table, rule }: Route, aggregateType: string): string {
    const { schema, table: name } = table;
    return this.#topics.topicOf(rule.topic, { schema, table: name, aggregateType });
  }

  truncation({ schema, table }: TableName): TopicRoute | null {
    const name = `${schema}.${table}`;
    const rule = this.#ruleFor(schema, name);
    if (rule?.outbox !== null || rule.truncate === 'skip') return null;
    const topic = this.#topics.find(rule.topic, { schema, table });
    if (topic === null) return null;
    const version = { schema, table, name, columns: [], primaryKey: null, defect: null };
    return { table: version, topic, columns: [], key: null, rule, open: [], outbox: null };
  }

  ruleOf({ schema, table }: TableName): FullTableRule | null {
    return this.#ruleFor(schema, `${schema}.${table}`);
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

  #ruleFor(schema: string, name: string): FullTableRule | null {
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
    const { schema, table: name } = table;
    const { typed, shape } = fitted(table, rule);
    const open = openColumns(typed, shape.columns);
    const topic =
      rule.outbox === null ? this.#topics.topicOf(rule.topic, { schema, table: name }) : null;
    return { table: typed, topic, ...shape, rule, open };
  }
}

/** The table as its rule tells its types, and what of a route depends on the columns. @throws RowcallError as `Router.route` */
export function fitted(
  table: TableVersion,
  rule: FullTableRule,
): { readonly typed: TableVersion; readonly shape: Pick<Route, 'columns' | 'key' | 'outbox'> } {
  const typed = withToldTypes(table, toldByRule(rule.columnTypes));
  return { typed, shape: shapeOf(withoutOpenPeriod(typed), rule) };
}

/** What of a route depends on the columns. @throws RowcallError as `Router.route` */
function shapeOf(
  table: TableVersion,
  rule: FullTableRule,
): Pick<Route, 'columns' | 'key' | 'outbox'> {
  if (rule.outbox !== null) return { ...outboxColumns(table, rule, rule.outbox), key: null };
  return { ...eventColumns(table, rule), outbox: null };
}

/**
 * Those of the event; and what is in no event too, of a period, as it tells what is one, and of an open width, as the
 * columns behind are found by it.
 */
function openColumns(table: TableVersion, columns: readonly Column[]): readonly Column[] {
  const read = new Set(
    columns.flatMap(({ index, candidates }) => (candidates === undefined ? [] : [index])),
  );
  return table.columns.filter(
    (column) => read.has(column.index) || mayBePeriod(column) || isOfOpenWidth(column),
  );
}
