/** A row change as records of the log: envelope, key, headers, event id. The contract: change-event.ts. */

import {
  envelopeTail,
  eventId,
  eventIdPrefix,
  HEADER_NEW_KEY,
  HEADER_OLD_KEY,
} from '../../change-event.ts';
import type { EventHalf, LogRecord, OperationCode } from '../../change-event.ts';
import { assert, present } from '../../shared/assert.ts';
import { allocateShared } from '../../shared/shared-bytes.ts';
import { textOf } from '../decode/json-text.ts';
import type { JsonText, LargeText } from '../decode/json-text.ts';
import type { RowChange, RowImage } from '../decode/rows.ts';
import type { Route } from '../route/router.ts';

/** Where and when a row change stands. */
export interface RowContext {
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
  /** The row's place in its rows event, from 0. */
  readonly row: number;
  readonly serverId: number;
  readonly thread: number | null;
  /** Commit time at the source, microseconds since the epoch. */
  readonly commitUs: number;
  /** When the row is processed, milliseconds since the epoch. */
  readonly nowMs: number;
  /** The row's number among the rows of its table in the transaction, from 1. */
  readonly ordinal: number;
  /** The row's number among all rows of the transaction, from 1. */
  readonly totalOrder: number;
}

/**
 * One record; two for an update that changes the key (a delete of the old key, then a create of the new),
 * which belong together. Deterministic but for `nowMs`: the same row gives the same id and bytes again.
 */
export function encodeRow(context: RowContext, route: Route, change: RowChange): LogRecord[] {
  const texts = textsOf(route);
  const { before, after } = change;
  const oldKey = before === null ? null : keyText(texts, before);
  const newKey = after === null ? null : keyText(texts, after);
  const row: EncodedRow = { context, route, texts };
  if (before === null) return [toRecord(row, 'c', '', { before, after, key: newKey })];
  if (after === null) return [toRecord(row, 'd', '', { before, after, key: oldKey })];
  if (oldKey === newKey) return [toRecord(row, 'u', '', { before, after, key: newKey })];
  return [
    {
      ...toRecord(row, 'd', ':d', { before, after: null, key: oldKey }),
      headers: [[HEADER_NEW_KEY, present(newKey, 'the new key')]],
    },
    {
      ...toRecord(row, 'c', ':c', { before: null, after, key: newKey }),
      headers: [[HEADER_OLD_KEY, present(oldKey, 'the old key')]],
    },
  ];
}

interface EncodedRow {
  readonly context: RowContext;
  readonly route: Route;
  readonly texts: RouteTexts;
}

interface Half extends RowChange {
  readonly key: string | null;
}

/** What is the same for all rows of a route, and what is the same for all of one event of it. */
interface RouteTexts {
  /** Column index and the text in front of its value: `{"id":`, then `,"name":` and so on. */
  readonly labels: readonly Label[];
  readonly keyLabels: readonly Label[] | null;
  /** `,"snapshot":false,"db":…,"table":…,"server_id":` */
  readonly sourceTable: string;
  /** Of the event met last: its rows follow one another. */
  event: {
    readonly transaction: string;
    readonly file: string;
    readonly pos: number;
    readonly source: string;
    readonly idPrefix: string;
  } | null;
}

interface Label {
  readonly index: number;
  readonly text: string;
}

const textsByRoute = new WeakMap<Route, RouteTexts>();

function textsOf(route: Route): RouteTexts {
  let texts = textsByRoute.get(route);
  if (texts === undefined) {
    const { schema, table } = route.table;
    texts = {
      labels: labelsOf(route.columns),
      keyLabels: route.key === null ? null : labelsOf(route.key),
      sourceTable:
        `,"snapshot":false,"db":${JSON.stringify(schema)},"table":${JSON.stringify(table)}` +
        ',"server_id":',
      event: null,
    };
    textsByRoute.set(route, texts);
  }
  return texts;
}

function labelsOf(columns: Route['columns']): readonly Label[] {
  return columns.map(({ index, name }, i) => ({
    index,
    text: `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`,
  }));
}

/** `{"id":1}`; the order is the key's own. */
function keyText({ keyLabels }: RouteTexts, image: RowImage): string | null {
  if (keyLabels === null) return null;
  let key = '';
  for (const { index, text } of keyLabels) key += text + textOf(valueAt(image, index));
  return `${key}}`;
}

function valueAt(image: RowImage, index: number): JsonText {
  return present(image[index], 'a column of the row image');
}

function toRecord(row: EncodedRow, operation: OperationCode, half: EventHalf, to: Half): LogRecord {
  const { context, route, texts } = row;
  const event = eventTexts(row);
  const envelope = new Envelope();
  envelope.add('{"before":');
  envelope.addImage(texts, to.before);
  envelope.add(',"after":');
  envelope.addImage(texts, to.after);
  envelope.add(`${event.source}${context.row},"thread":${context.thread ?? 'null'},"query":null}`);
  envelope.add(
    envelopeTail(operation, context.nowMs, {
      id: context.transaction,
      totalOrder: context.totalOrder,
      dataCollectionOrder: context.ordinal,
    }),
  );
  return {
    key: to.key,
    value: envelope.finish(),
    timestampMs: Math.floor(context.commitUs / 1000),
    id: eventId(event.idPrefix, context.ordinal, half),
    table: route.table.name,
    operation,
  };
}

/** The part of `source` up to the row's number, and of the id up to the ordinal: made once per rows event. */
function eventTexts({ context, route, texts }: EncodedRow): NonNullable<RouteTexts['event']> {
  const { transaction, file, pos } = context;
  const last = texts.event;
  if (last?.transaction === transaction && last.pos === pos && last.file === file) return last;
  const { schema, table } = route.table;
  const event = {
    transaction,
    file,
    pos,
    idPrefix: eventIdPrefix(transaction, schema, table),
    source:
      `,"source":{"version":${JSON.stringify(context.version)},"connector":"rowcall"` +
      `,"name":${JSON.stringify(context.name)},"ts_ms":${Math.floor(context.commitUs / 1000)}` +
      `,"ts_us":${context.commitUs}${texts.sourceTable}${context.serverId}` +
      `,"gtid":${JSON.stringify(context.gtid)},"file":${JSON.stringify(file)},"pos":${pos},"row":`,
  };
  texts.event = event;
  return event;
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

  addImage({ labels }: RouteTexts, image: RowImage | null): void {
    if (image === null) {
      this.#text += 'null';
      return;
    }
    let text = labels.length === 0 ? '{' : '';
    for (const label of labels) {
      const value = valueAt(image, label.index);
      text += label.text;
      if (typeof value === 'string') {
        text += value;
      } else {
        this.#addLarge(text, value);
        text = '';
      }
    }
    this.#text += `${text}}`;
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
