/** Whether topics of dead letters fit: asked by start and doctor, and never in the way of a start, since no delivery depends on it. */

import type { LogFinding } from '../finding.ts';
import type { InspectedTopic } from './kafka-inspection.ts';
import { REASON_BYTES, USUAL_RECORD_BYTES } from './letter-topics.ts';

export interface LetterTopicsExpectation {
  /** Of the callbacks of the file. */
  readonly names: readonly string[];
  /** Whether one that is missing is made. */
  readonly createsTopics: boolean;
  /** What a record of a table's topic may take. */
  readonly recordBytes: number;
}

const DAY_MS = 86_400_000;

export function checkLetterTopics(
  topics: readonly InspectedTopic[],
  { names, createsTopics, recordBytes }: LetterTopicsExpectation,
): LogFinding[] {
  const there = new Map(topics.map((topic) => [topic.name, topic]));
  return names.flatMap((name) => {
    const topic = there.get(name);
    if (topic !== undefined) return checkTopic(topic, recordBytes + REASON_BYTES);
    return createsTopics ? [] : [missing(name)];
  });
}

function missing(name: string): LogFinding {
  return warning({
    check: name,
    value: 'not there, or not to be seen by this account',
    want: 'a topic',
    why: 'Dead letters wait in the state store until it is there: log.topics.create is false.',
    cure: `kafka-topics --create --topic ${name} --config cleanup.policy=delete; or give the account Describe on it`,
  });
}

function checkTopic({ name, settings }: InspectedTopic, neededBytes: number): LogFinding[] {
  const found: LogFinding[] = [];
  const set = (option: string): string =>
    `kafka-configs --alter --entity-type topics --entity-name ${name} --add-config ${option}`;
  const policy = settings.get('cleanup.policy') ?? 'delete';
  if (policy.includes('compact')) {
    found.push(
      warning({
        check: `${name}: cleanup.policy`,
        value: policy,
        want: 'delete',
        why: 'A compacted topic forgets all but the last dead letter of a key: none is written to it.',
        cure: set('cleanup.policy=delete'),
      }),
    );
  }
  const limit = Number(settings.get('max.message.bytes') ?? USUAL_RECORD_BYTES);
  if (limit < neededBytes) {
    found.push(
      warning({
        check: `${name}: max.message.bytes`,
        value: String(limit),
        want: `at least ${neededBytes}: what the topics of tables take, and room for the reasons`,
        why: 'A dead letter over it holds the later ones of its callback.',
        cure: set(`max.message.bytes=${neededBytes}`),
      }),
    );
  }
  const retention = Number(settings.get('retention.ms') ?? -1);
  if (retention >= 0 && retention < DAY_MS) {
    found.push(
      warning({
        check: `${name}: retention.ms`,
        value: String(retention),
        want: `-1 or at least ${DAY_MS} (a day)`,
        why: 'Kafka deletes dead letters that are older; the state store keeps them.',
        cure: set(`retention.ms=${7 * DAY_MS}`),
      }),
    );
  }
  return found;
}

const warning = (told: Omit<LogFinding, 'severity' | 'code'>): LogFinding => ({
  ...told,
  severity: 'warning',
  code: 'LOG_UNFIT',
});
