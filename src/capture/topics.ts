/** The topics of the capture: made when they are first needed, and kept for the tables they were made for. */

import type { ChangeLogWriter } from '../log/change-log.ts';
import type { Target } from './append/appender.ts';
import { madeTopic, type TableName } from '../position.ts';
import { present } from '../shared/assert.ts';
import type { Place } from './append/place.ts';
import { transactionsTopic } from './encode/transaction-record.ts';
import type { Route, Router } from './route/router.ts';
import type { TopicSource } from './route/topic-name.ts';

export interface TopicsParts {
  readonly name: string;
  /** Partitions of a topic that is made now. */
  readonly partitions: number;
  readonly place: Place;
  readonly writer: ChangeLogWriter;
  readonly router: Router;
}

/**
 * Invariant: a topic's keys are hashed over the count that the place has of it, from the first record to the last.
 * Over another count two records of one key could stand in two partitions, and nobody would know which is the later.
 */
export class Topics {
  readonly #parts: TopicsParts;
  /** Their tables are known to their topics, since so many were dropped. */
  readonly #placed = new WeakMap<Route, number>();

  constructor(parts: TopicsParts) {
    this.#parts = parts;
    this.#keep();
  }

  /** Makes the topic when it is new; a promise only then. */
  target(topic: string, source: TopicSource | null): Target | Promise<Target> {
    const { place } = this.#parts;
    const known = place.topic(topic);
    if (known === undefined) return this.#make(topic, source);
    if (known.table === null && source !== null) {
      place.giveTopic(topic, tableOf(source), source.aggregateType);
    }
    return { topic, partitions: known.partitions };
  }

  /** Where the rows of a table go; null for an outbox, each row of which has a topic of its own. */
  ofTable(route: Route): Target | Promise<Target> | null {
    if (route.topic === null) return null;
    const source = tableOf(route.table);
    const target = this.target(route.topic, source);
    if (target instanceof Promise) return target;
    const { place } = this.#parts;
    if (this.#placed.get(route) !== place.drops) place.tableSeen(route.topic, source);
    this.#placed.set(route, place.drops);
    return target;
  }

  /** Where transactions begin and end; made before the first row that they hold. */
  transactions(): Target {
    const topic = transactionsTopic(this.#parts.name);
    const { partitions } = present(this.#parts.place.topic(topic), 'the transactions topic');
    return { topic, partitions };
  }

  async #make(topic: string, source: TopicSource | null): Promise<Target> {
    const { place, writer, partitions } = this.#parts;
    const [made] = await writer.createTopics([{ name: topic, partitions }]);
    const info = present(made, 'the topic just made');
    const table = source === null ? null : tableOf(source);
    place.topicMade(topic, madeTopic(info, table, source?.aggregateType));
    return { topic, partitions: info.partitions };
  }

  /** Tables seen at an earlier start keep their topics; one that the rules lead elsewhere leaves its own. */
  #keep(): void {
    const { place, router } = this.#parts;
    for (const [topic, { table, aggregateType }] of place.topics) {
      if (table === null) continue;
      if (!router.keepTopic(topic, sourceOf(table, aggregateType))) place.giveTopic(topic, null);
    }
  }
}

/** What a topic is named after. */
export function sourceOf(
  { schema, table }: TableName,
  aggregateType: string | undefined,
): TopicSource {
  return { schema, table, ...(aggregateType === undefined ? {} : { aggregateType }) };
}

function tableOf({ schema, table }: TopicSource): TableName {
  return { schema, table };
}
