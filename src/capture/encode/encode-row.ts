/** A row change as records of the log: envelope, key, headers, event id. The contract: change-event.ts. */

import {
  envelopeTail,
  eventId,
  eventIdPrefix,
  HEADER_NEW_KEY,
  HEADER_OLD_KEY,
} from '../../change-event.ts';
import type { LogRecord } from '../../change-event.ts';
import { RowcallError } from '../../errors.ts';
import type { EventFormat } from '../../event-format.ts';
import { assert, present } from '../../shared/assert.ts';
import { allocateShared } from '../../shared/shared-bytes.ts';
import { textOf } from '../decode/json-text.ts';
import type { JsonText, LargeText } from '../decode/json-text.ts';
import type { RowChange, RowImage } from '../decode/rows.ts';
import type { Route } from '../route/router.ts';
import { binaryCloudEvent, structuredCloudEvent } from './cloudevents.ts';
import { flat } from './flat.ts';
import { type Format, type FormatMaker, type Half, type Label, labelsOf } from './format.ts';
import { maxwell } from './maxwell.ts';

/** Where and when the rows of one event stand. */
export interface EventContext {
  /** The configuration's `name`. */
  readonly name: string;
  /** Rowcall's own version. */
  readonly version: string;
  /** The GTID's text, or `filePlaceId` without GTIDs. */
  readonly transaction: string;
  readonly gtid: string | null;
  /** Of the rows event. */
  readonly file: string;
  readonly pos: number;
  readonly serverId: number;
  readonly thread: number | null;
  /** Commit time at the source, microseconds since the epoch. */
  readonly commitUs: number;
}

/** Where and when a row change stands. */
export interface RowContext extends EventContext {
  /** The row's place in its rows event, from 0. */
  readonly row: number;
  /** When the row is processed, milliseconds since the epoch. */
  readonly nowMs: number;
  /** The row's number among the rows of its table in the transaction, from 1. */
  readonly ordinal: number;
  /** The row's number among all rows of the transaction, from 1. */
  readonly totalOrder: number;
}

/**
 * One record; two for an update that changes the key (a delete of the old key, then a create of the new),
 * which belong together; by option a tombstone behind each delete. Deterministic but for `nowMs`: the same row
 * gives the same id and bytes again. A column that is absent from a partial image is absent from the object.
 *
 * @throws RowcallError COLUMN_RULE_UNFIT: the route's format cannot hold the change. ROW_IMAGE_PARTIAL: nor a partial
 *   image, or the images lack a column of the key
 */
export function encodeRow(context: RowContext, route: Route, change: RowChange): LogRecord[] {
  const texts = textsOf(route);
  const { before, after } = change;
  const row: EncodedRow = { context, route, texts };
  const oldKey = before === null ? null : keyText(row, before, null);
  const newKey = after === null ? null : keyText(row, after, before);
  if (before === null) {
    return [toRecord(row, { operation: 'c', half: '', before, after, key: newKey })];
  }
  if (after === null) {
    return deleted(row, toRecord(row, { operation: 'd', half: '', before, after, key: oldKey }));
  }
  if (oldKey === newKey) {
    return [toRecord(row, { operation: 'u', half: '', before, after, key: newKey })];
  }
  const gone = toRecord(row, { operation: 'd', half: ':d', before, after: null, key: oldKey });
  const come = toRecord(row, { operation: 'c', half: ':c', before: null, after, key: newKey });
  return [
    ...deleted(row, withHeader(gone, HEADER_NEW_KEY, present(newKey, 'the new key'))),
    withHeader(come, HEADER_OLD_KEY, present(oldKey, 'the old key')),
  ];
}

/** The event of a TRUNCATE or DROP: neither key, images nor numbers. The context's ordinal is 0, which no row has. */
export function encodeTruncate(context: RowContext, route: Route): LogRecord {
  const row = { context, route, texts: textsOf(route) };
  return toRecord(row, { operation: 't', half: '', before: null, after: null, key: null });
}

interface EncodedRow {
  readonly context: RowContext;
  readonly route: Route;
  readonly texts: RouteTexts;
}

function withHeader(record: LogRecord, name: string, value: string): LogRecord {
  return { ...record, headers: [...(record.headers ?? []), [name, value]] };
}

/** A delete and, where the rule asks for it, the tombstone that lets a compacted topic forget the key. */
function deleted({ context, route, texts }: EncodedRow, record: LogRecord): LogRecord[] {
  if (!route.rule.tombstones || record.key === null) return [record];
  const id = eventId(
    present(texts.event, 'the texts of the event').idPrefix,
    context.ordinal,
    ':t',
  );
  return [record, { ...record, id, value: null }];
}

/** What is the same for all rows of a route, and what is the same for all of one event of it. */
interface RouteTexts {
  readonly labels: readonly Label[];
  readonly keyLabels: readonly Label[] | null;
  /** Null for the default format, whose value is the envelope as it stands. */
  readonly format: Format | null;
  /** `,"snapshot":false,"db":…,"table":…,"server_id":` */
  readonly sourceTable: string;
  /** `:shop/orders:`, behind the transaction in an event's id. */
  readonly idTable: string;
  /** Of the event met last: the next one's file is mostly the same, and its configuration always. */
  source: SourceTexts | null;
  /** Of the event met last: its rows follow one another. */
  event: EventTexts | null;
}

export interface EventTexts {
  readonly transaction: string;
  readonly file: string;
  readonly pos: number;
  readonly source: string;
  readonly idPrefix: string;
}

interface SourceTexts {
  readonly name: string;
  readonly version: string;
  readonly file: string;
  /** Up to the number of `ts_ms`. */
  readonly head: string;
  /** `,"file":"binlog.000007","pos":` */
  readonly place: string;
}

const FORMATS: Readonly<Record<EventFormat, FormatMaker | null>> = {
  debezium: null,
  maxwell,
  flat,
  'cloudevents-structured': structuredCloudEvent,
  'cloudevents-binary': binaryCloudEvent,
};

const textsByRoute = new WeakMap<Route, RouteTexts>();

function textsOf(route: Route): RouteTexts {
  let texts = textsByRoute.get(route);
  if (texts === undefined) {
    const { schema, table } = route.table;
    const format = FORMATS[route.rule.format]?.(route) ?? null;
    texts = {
      labels: labelsOf(route.columns),
      keyLabels:
        route.key === null ? null : labelsOf(route.key, format?.keyStart, format?.keyPrefix),
      format,
      sourceTable:
        `,"snapshot":false,"db":${JSON.stringify(schema)},"table":${JSON.stringify(table)}` +
        ',"server_id":',
      idTable: eventIdPrefix('', schema, table),
      source: null,
      event: null,
    };
    textsByRoute.set(route, texts);
  }
  return texts;
}

/** `{"id":1}`; the order is the key's own. What a partial after image lacks stayed as it is in the one before. */
function keyText(row: EncodedRow, image: RowImage, before: RowImage | null): string | null {
  const { keyLabels } = row.texts;
  if (keyLabels === null) return null;
  let key = '';
  for (const { index, first, next } of keyLabels) {
    const value = image[index] ?? before?.[index];
    if (value === undefined) throw keyAbsent(row, index);
    key += (key === '' ? first : next) + textOf(value);
  }
  return `${key}}`;
}

/** A key that is guessed would put the row among those of another. */
function keyAbsent({ context, route }: EncodedRow, index: number): RowcallError {
  const name = route.table.columns[index]?.name ?? '';
  return new RowcallError('ROW_IMAGE_PARTIAL', `The row lacks the key column ${name}`, {
    place: `${context.file}:${context.pos}, table ${route.table.name}, row ${context.row + 1}`,
  });
}

function toRecord(row: EncodedRow, half: Half): LogRecord {
  const { context, route, texts } = row;
  const id = eventId(eventTexts(context, route).idPrefix, context.ordinal, half.half);
  const envelope = new Envelope();
  const record = {
    key: half.key,
    value: EMPTY,
    timestampMs: Math.floor(context.commitUs / 1000),
    id,
    table: route.table.name,
    operation: half.operation,
  };
  if (texts.format === null) {
    addEnvelope(envelope, row, half);
    record.value = envelope.finish();
    return record;
  }
  const source = sourceText(row).slice(SOURCE_NAME.length);
  const sink = {
    add: (text: string) => {
      envelope.add(text);
    },
    addImage: envelope.addImage.bind(envelope),
    addOpenImage: envelope.addOpenImage.bind(envelope),
    addEnvelope: () => {
      addEnvelope(envelope, row, half);
    },
  };
  const headers = texts.format.write(sink, { context, labels: texts.labels, id, source }, half);
  record.value = envelope.finish();
  return { ...record, headers };
}

const EMPTY: Uint8Array = new Uint8Array();

/** The default format. */
function addEnvelope(envelope: Envelope, row: EncodedRow, half: Half): void {
  const { context, texts } = row;
  envelope.add('{"before":');
  envelope.addImage(texts, half.before);
  envelope.add(',"after":');
  envelope.addImage(texts, half.after);
  envelope.add(sourceText(row));
  const transaction = {
    id: context.transaction,
    totalOrder: context.totalOrder,
    dataCollectionOrder: context.ordinal,
  };
  // A statement that is its own transaction has neither BEGIN nor END, as Debezium has it.
  const isRow = half.operation !== 't';
  envelope.add(envelopeTail(half.operation, context.nowMs, isRow ? transaction : null));
}

const SOURCE_NAME = ',"source":';

/** The envelope's `source` by itself. */
export function envelopeSource(context: RowContext, route: Route): string {
  return sourceText({ context, route, texts: textsOf(route) }).slice(SOURCE_NAME.length);
}

function sourceText({ context, route }: EncodedRow): string {
  return `${eventTexts(context, route).source}${context.row}${sourceEnd(context.thread)}`;
}

/** The end of `source`, behind the row's number. */
export function sourceEnd(thread: number | null): string {
  return `,"thread":${thread ?? 'null'},"query":null}`;
}

/** The part of `source` up to the row's number, and of the id up to the ordinal: made once per rows event. */
export function eventTexts(context: EventContext, route: Route): EventTexts {
  const texts = textsOf(route);
  const { transaction, file, pos } = context;
  const last = texts.event;
  if (last?.transaction === transaction && last.pos === pos && last.file === file) return last;
  const { head, place } = sourceTexts(context, texts);
  const gtid = context.gtid === null ? 'null' : JSON.stringify(context.gtid);
  const event = {
    transaction,
    file,
    pos,
    idPrefix: transaction + texts.idTable,
    source:
      `${head}${Math.floor(context.commitUs / 1000)},"ts_us":${context.commitUs}` +
      `${texts.sourceTable}${context.serverId},"gtid":${gtid}${place}${pos},"row":`,
  };
  texts.event = event;
  return event;
}

function sourceTexts({ name, version, file }: EventContext, texts: RouteTexts): SourceTexts {
  const last = texts.source;
  if (last?.file === file && last.name === name && last.version === version) return last;
  const source = {
    name,
    version,
    file,
    head:
      `${SOURCE_NAME}{"version":${JSON.stringify(version)},"connector":"rowcall"` +
      `,"name":${JSON.stringify(name)},"ts_ms":`,
    place: `,"file":${JSON.stringify(file)},"pos":`,
  };
  texts.source = source;
  return source;
}

/**
 * The bytes of one envelope. Text gathers in a string; a large value waits as it stands in the event and is written
 * once, into the envelope itself, so that of a row of many megabytes there is the event and the envelope, and no third.
 */
class Envelope {
  #text = '';
  #parts: JsonText[] | null = null;

  add(text: string): void {
    this.#text += text;
  }

  addImage(columns: { readonly labels: readonly Label[] }, image: RowImage | null): void {
    if (image === null) {
      this.#text += 'null';
      return;
    }
    this.#addColumns(columns, image);
    this.#text += '}';
  }

  /** The image without its closing bracket, ready for a further member. */
  addOpenImage(columns: { readonly labels: readonly Label[] }, image: RowImage | null): void {
    const any = this.#addColumns(columns, present(image, 'the image of a row'));
    if (any) this.#text += ',';
  }

  /** Whether there was any; what is absent from the image is absent here. */
  #addColumns({ labels }: { readonly labels: readonly Label[] }, image: RowImage): boolean {
    let text = '';
    let isFirst = true;
    for (const { index, first, next } of labels) {
      const value = image[index];
      if (value === undefined) continue;
      text += isFirst ? first : next;
      isFirst = false;
      if (typeof value === 'string') {
        text += value;
      } else {
        this.#addLarge(text, value);
        text = '';
      }
    }
    this.#text += isFirst ? '{' : text;
    return !isFirst;
  }

  finish(): Uint8Array {
    if (this.#parts === null) return Buffer.from(this.#text, 'utf8');
    const parts = [...this.#parts, this.#text];
    let bytes = 0;
    for (const part of parts) bytes += byteLength(part);
    const whole = allocateShared(bytes);
    let at = 0;
    for (const part of parts) {
      at = typeof part === 'string' ? at + whole.write(part, at, 'utf8') : part.writeTo(whole, at);
    }
    assert(at === bytes, 'an envelope is as long as was measured');
    return whole;
  }

  #addLarge(before: string, value: LargeText): void {
    this.#parts ??= [];
    this.#parts.push(this.#text + before, value);
    this.#text = '';
  }
}

function byteLength(text: JsonText): number {
  return typeof text === 'string' ? Buffer.byteLength(text, 'utf8') : text.byteLength;
}
