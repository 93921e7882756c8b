/** Rows of an outbox table as records of their own: what the row carries is the event, and its columns say which. */

import {
  eventId,
  eventIdPrefix,
  HEADER_AGGREGATE_TYPE,
  HEADER_FORMAT,
  HEADER_OUTBOX_ID,
  HEADER_OUTBOX_TYPE,
  HEADER_SOURCE,
} from '../../change-event.ts';
import type { LogRecord } from '../../change-event.ts';
import { RowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import { allocateShared } from '../../shared/shared-bytes.ts';
import { type JsonText, textOf } from '../decode/json-text.ts';
import type { RowChange, RowImage } from '../decode/rows.ts';
import type { OutboxColumns } from '../route/outbox-columns.ts';
import type { Route } from '../route/router.ts';
import { envelopeSource, type RowContext } from './encode-row.ts';

/**
 * The record of an insert; none of an update or delete. Headers, key and value are those of Debezium's event router:
 * `id` and `type`, the aggregate's id, the payload.
 *
 * @throws RowcallError OUTBOX_ROW_INVALID
 */
export function encodeOutboxRow(context: RowContext, route: Route, change: RowChange): LogRecord[] {
  const { before, after } = change;
  if (before !== null || after === null) return [];
  const { schema, table, name } = route.table;
  const outbox = present(route.outbox, 'the columns of an outbox');
  const text = (part: keyof OutboxColumns): string => textIn(after, route, part, context);
  return [
    {
      key: textOf(valueIn(after, outbox.aggregateId, route, context)),
      value: bytesOf(valueIn(after, outbox.payload, route, context)),
      timestampMs: Math.floor(context.commitUs / 1000),
      id: eventId(eventIdPrefix(context.transaction, schema, table), context.ordinal),
      table: name,
      operation: 'c',
      headers: [
        [HEADER_OUTBOX_ID, text('id')],
        [HEADER_OUTBOX_TYPE, text('type')],
        [HEADER_FORMAT, 'outbox'],
        [HEADER_AGGREGATE_TYPE, text('aggregateType')],
        [HEADER_SOURCE, envelopeSource(context, route)],
      ],
    },
  ];
}

/** The aggregate type, which leads the row to its topic; null of what is no event. @throws RowcallError OUTBOX_ROW_INVALID */
export function aggregateTypeOf(
  route: Route,
  { before, after }: RowChange,
  at: Where,
): string | null {
  if (before !== null || after === null) return null;
  // Without any of these nobody could tell the event from others, or keep its order.
  for (const part of ['id', 'type', 'aggregateId'] as const) textIn(after, route, part, at);
  return textIn(after, route, 'aggregateType', at);
}

type Where = Pick<RowContext, 'file' | 'pos'>;

function textIn(image: RowImage, route: Route, part: keyof OutboxColumns, at: Where): string {
  const { [part]: index } = present(route.outbox, 'the columns of an outbox');
  const json = textOf(valueIn(image, index, route, at));
  if (json !== 'null') return json.startsWith('"') ? (JSON.parse(json) as string) : json;
  throw new RowcallError(
    'OUTBOX_ROW_INVALID',
    `The column ${route.rule.outbox?.[part] ?? part} is NULL`,
    { place: placeOf(route, at) },
  );
}

function valueIn(image: RowImage, index: number, route: Route, at: Where): JsonText {
  const value = image[index];
  if (value !== undefined) return value;
  const name = route.table.columns[index]?.name ?? '';
  throw new RowcallError('ROW_IMAGE_PARTIAL', `The row lacks the column ${name} of the outbox`, {
    place: placeOf(route, at),
  });
}

function placeOf({ table }: Route, { file, pos }: Where): string {
  return `${file}:${pos}, table ${table.name}`;
}

function bytesOf(json: JsonText): Uint8Array {
  if (typeof json === 'string') return Buffer.from(json, 'utf8');
  const bytes = allocateShared(json.byteLength);
  json.writeTo(bytes, 0);
  return bytes;
}
