/** From a rule's template to a topic's name that Kafka takes. */

import { isDeadLetterTopic } from '../../dead-letter-topic.ts';
import { RowcallError } from '../../errors.ts';
import type { TableName } from '../../position.ts';

/** Kafka's limit; its rules stand in org.apache.kafka.common.internals.Topic. */
const MAX_LENGTH = 249;
const FORBIDDEN = /[^A-Za-z0-9._-]/gu;
/** No name of MySQL's has it. */
const INNER_DOT = '\0';
const PLACEHOLDER = /\{(name|schema|table|aggregate_type)\}/g;

type Placeholder = 'name' | 'schema' | 'table' | 'aggregate_type';

/** What gives a topic its name: a table and, of an outbox table, the row's aggregate type. */
export interface TopicSource extends TableName {
  readonly aggregateType?: string;
}

/**
 * Gives tables their topics. Invariant: a name that came about by replacing characters, or by joining names with
 * dots of their own, belongs to one spelling only; otherwise two tables would silently share one topic, keys and order mixed.
 */
export class TopicNames {
  readonly #name: string;
  /** What each topic was called before characters were replaced, with the dots within names told apart. */
  readonly #spellings = new Map<string, string>();

  /** @param name the configuration's `name` */
  constructor(name: string) {
    this.#name = name;
  }

  /** @throws RowcallError TOPIC_COLLISION, TOPIC_INVALID */
  topicOf(template: string, table: TopicSource): string {
    const { spelling, topic } = this.#nameOf(template, table);
    const place = placeOf(table);
    this.#check(topic, place);
    this.#take(topic, spelling, place);
    return topic;
  }

  /**
   * Gives a table the topic that it had at an earlier start.
   *
   * @returns false where the template leads the table elsewhere by now
   * @throws RowcallError TOPIC_COLLISION
   */
  keep(topic: string, template: string, table: TopicSource): boolean {
    const now = this.#nameOf(template, table);
    if (now.topic !== topic) return false;
    this.#take(topic, now.spelling, placeOf(table));
    return true;
  }

  /** The topic of a table known by name alone, which takes nothing; null where it is another table's. */
  find(template: string, table: TopicSource): string | null {
    const { spelling, topic } = this.#nameOf(template, table);
    const other = this.#spellings.get(topic);
    return other === undefined || other === spelling ? topic : null;
  }

  #nameOf(template: string, source: TopicSource): { spelling: string; topic: string } {
    const { schema, table, aggregateType = '' } = source;
    const parts = { name: this.#name, schema, table, aggregate_type: aggregateType };
    // Table `b.c` of schema `a` and table `c` of schema `a.b` would be spelled alike.
    const spelling = template.replace(PLACEHOLDER, (_match, part: Placeholder) =>
      parts[part].replaceAll('.', INNER_DOT),
    );
    return { spelling, topic: plain(spelling).replace(FORBIDDEN, '_') };
  }

  #take(topic: string, spelling: string, place: string): void {
    const other = this.#spellings.get(topic);
    if (other !== undefined && other !== spelling) {
      const message = `Both ${quoted(other)} and ${quoted(spelling)} become the topic ${topic}`;
      throw new RowcallError('TOPIC_COLLISION', message, { place });
    }
    this.#spellings.set(topic, spelling);
  }

  #check(topic: string, place: string): void {
    const fault = this.#faultOf(topic);
    if (fault !== null) throw new RowcallError('TOPIC_INVALID', fault, { place });
  }

  #faultOf(topic: string): string | null {
    if (topic.length > MAX_LENGTH) {
      return `The topic's name has ${topic.length} characters, and Kafka takes ${MAX_LENGTH}: ${topic}`;
    }
    if (topic === '' || topic === '.' || topic === '..') return `"${topic}" is no name for a topic`;
    return this.#isOurs(topic) ? `The topic ${topic} is one of Rowcall's own` : null;
  }

  #isOurs(topic: string): boolean {
    const prefix = `${this.#name}.`;
    if (!topic.startsWith(prefix)) return false;
    const rest = topic.slice(prefix.length);
    const own = ['checkpoint', 'schema_changes', 'transactions'].includes(rest);
    return own || isDeadLetterTopic(this.#name, topic);
  }
}

function placeOf({ schema, table, aggregateType }: TopicSource): string {
  const name = `table ${schema}.${table}`;
  return aggregateType === undefined ? name : `${name}, aggregate type ${aggregateType}`;
}

function plain(spelling: string): string {
  return spelling.replaceAll(INNER_DOT, '.');
}

/** For a person: a name with dots of its own stands as MySQL would quote it. */
function quoted(spelling: string): string {
  if (!spelling.includes(INNER_DOT)) return spelling;
  const parts = spelling.split('.');
  return parts.map((part) => (part.includes(INNER_DOT) ? `\`${plain(part)}\`` : part)).join('.');
}
