/** How records stand in what the console programs write and read. */

/** Control characters, which neither keys nor JSON hold, so that texts need no escapes. */
const FIELD = '\u001f';
const HEADER = '\u001c';
const RECORD = '\u001e\u001d';
const NULL = '\u001a';

export interface ConsumeOptions {
  readonly topic: string;
  /** `topic` is a regular expression of Java's: all topics whose whole name it matches. */
  readonly matching?: boolean;
  /** Default: all, by way of a consumer group of its own. */
  readonly partition?: number;
  /** Default: what comes from now on. `'beginning'` is all there is; a number needs a partition. */
  readonly from?: 'beginning' | number;
  /** Default: `read_uncommitted`, as the program's own. */
  readonly isolation?: 'read_committed' | 'read_uncommitted';
  /** The program ends after this many records. */
  readonly count?: number;
  /** The program ends when nothing came for so long. */
  readonly idleMs?: number;
  /** Commits offsets for this group. */
  readonly group?: string;
  /** By the clients' door, with TLS and login where it has them. Default: the brokers' own. */
  readonly asClient?: boolean;
  /** Consumer settings, by Kafka's names. */
  readonly properties?: Readonly<Record<string, string>>;
}

/** Key, value and header values are read as UTF-8. */
export interface KafkaRecord {
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** In their order; a name may come twice. */
  readonly headers: readonly (readonly [name: string, value: string | null])[];
  readonly key: string | null;
  readonly value: string | null;
}

/** No part of it may hold a line feed: the console producer reads lines. */
export interface ProducedRecord {
  readonly key?: string | null;
  readonly value: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Arguments of kafka-console-consumer, without the servers. */
export function consumerArguments(options: ConsumeOptions): string[] {
  const formatter = {
    'print.timestamp': 'true',
    'print.partition': 'true',
    'print.offset': 'true',
    'print.headers': 'true',
    'print.key': 'true',
    'print.value': 'true',
    'key.separator': FIELD,
    'headers.separator': HEADER,
    'line.separator': RECORD,
    'null.literal': NULL,
  };
  const { partition, from } = options;
  return [
    ...[options.matching === true ? '--include' : '--topic', options.topic],
    ...['--isolation-level', options.isolation ?? 'read_uncommitted'],
    ...(partition === undefined ? [] : ['--partition', String(partition)]),
    ...(from === 'beginning' ? ['--from-beginning'] : []),
    ...(typeof from === 'number' ? ['--offset', String(from)] : []),
    ...(options.count === undefined ? [] : ['--max-messages', String(options.count)]),
    ...(options.idleMs === undefined ? [] : ['--timeout-ms', String(options.idleMs)]),
    ...(options.group === undefined ? [] : ['--group', options.group]),
    ...pairs('--formatter-property', formatter),
    ...pairs('--command-property', options.properties ?? {}),
  ];
}

/** Records out of what the program has written so far; the incomplete rest stays in the parser. */
export class RecordParser {
  #rest = '';

  push(text: string): KafkaRecord[] {
    const parts = (this.#rest + text).split(RECORD);
    this.#rest = parts.pop() ?? '';
    return parts.map(parseRecord);
  }

  /** What is left where a record should have ended; empty when all is well. */
  get rest(): string {
    return this.#rest;
  }
}

const PREFIX = /^(?:CreateTime|LogAppendTime):(-?\d+)$/;

function parseRecord(text: string): KafkaRecord {
  const fields = text.split(FIELD);
  const [time = '', partition = '', offset = '', headers = '', key = '', value = ''] = fields;
  const timestamp = PREFIX.exec(time)?.[1];
  if (fields.length !== 6 || timestamp === undefined) {
    throw new Error(`Not a record of the console consumer: ${JSON.stringify(text)}`);
  }
  return {
    partition: labelled('Partition', partition),
    offset: labelled('Offset', offset),
    timestamp: Number(timestamp),
    headers: headers === 'NO_HEADERS' ? [] : headers.split(HEADER).map(parseHeader),
    key: orNull(key),
    value: orNull(value),
  };
}

function labelled(label: string, text: string): number {
  const [name, digits = ''] = text.split(':');
  if (name !== label || !/^\d+$/.test(digits)) {
    throw new Error(`Not the ${label} of a record: ${JSON.stringify(text)}`);
  }
  return Number(digits);
}

function parseHeader(text: string): readonly [string, string | null] {
  const colon = text.indexOf(':');
  return [text.slice(0, colon), orNull(text.slice(colon + 1))];
}

function orNull(text: string): string | null {
  return text === NULL ? null : text;
}

/** Arguments of kafka-console-producer, without the servers. */
export function producerArguments(topic: string): string[] {
  const reader = {
    'parse.key': 'true',
    'parse.headers': 'true',
    'headers.delimiter': FIELD,
    'key.separator': FIELD,
    'headers.separator': HEADER,
    'headers.key.separator': ':',
    'null.marker': NULL,
  };
  return [
    ...['--topic', topic],
    ...['--request-required-acks', 'all'],
    ...pairs('--reader-property', reader),
  ];
}

/** Standard input of kafka-console-producer. */
export function producerLines(records: readonly ProducedRecord[]): string {
  const text = records.map((record) => {
    const headers = Object.entries(record.headers ?? {}).map(([name, value]) => `${name}:${value}`);
    const fields = [
      headers.length === 0 ? NULL : headers.join(HEADER),
      record.key ?? NULL,
      record.value ?? NULL,
    ];
    const line = fields.join(FIELD);
    if (line.includes('\n')) throw new Error('The console producer cannot take a line feed');
    return `${line}\n`;
  });
  return text.join('');
}

function pairs(option: string, properties: Readonly<Record<string, string>>): string[] {
  return Object.entries(properties).flatMap(([name, value]) => [option, `${name}=${value}`]);
}
