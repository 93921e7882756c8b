/**
 * CloudEvents 1.0 whose data is the envelope of the default format: in structured mode around it, in binary mode as
 * headers beside it (CloudEvents' Kafka protocol binding).
 */

import { encodeIdPart, eventType, HEADER_FORMAT } from '../../change-event.ts';
import type { OperationCode } from '../../change-event.ts';
import type { Route } from '../route/router.ts';
import type { Format, FormatMaker, Half, RowTexts } from './format.ts';

type Attributes = readonly (readonly [name: string, value: string])[];

export const structuredCloudEvent: FormatMaker = (route) => {
  const attributes = attributesOf(route);
  return keyed((sink, row, half) => {
    const texts = attributes(row, half).map(
      ([name, value]) => `"${name}":${JSON.stringify(value)}`,
    );
    sink.add(`{${texts.join(',')},"datacontenttype":"application/json","data":`);
    sink.addEnvelope();
    sink.add('}');
    return [
      ['content-type', 'application/cloudevents+json; charset=UTF-8'],
      [HEADER_FORMAT, 'cloudevents-structured'],
    ];
  });
};

/** The value is the envelope as it stands, so that whoever reads that needs no header to do so. */
export const binaryCloudEvent: FormatMaker = (route) => {
  const attributes = attributesOf(route);
  return keyed((sink, row, half) => {
    sink.addEnvelope();
    const headers = attributes(row, half).map(([name, value]) => [`ce_${name}`, value] as const);
    return [...headers, ['content-type', 'application/json']];
  });
};

function keyed(write: Format['write']): Format {
  return { keyStart: '{', keyPrefix: '', write };
}

/** `source` and `id` together are of one event alone, as the specification asks. */
function attributesOf({ table }: Route): (row: RowTexts, half: Half) => Attributes {
  const types = new Map<OperationCode, string>();
  const typeOf = (operation: OperationCode): string => {
    let type = types.get(operation);
    if (type === undefined) {
      types.set(operation, (type = eventType({ table: table.name, operation })));
    }
    return type;
  };
  return ({ context, id }, { operation, key }) => [
    ['specversion', '1.0'],
    ['id', id],
    [
      'source',
      `/rowcall/${context.name}/${encodeIdPart(table.schema)}/${encodeIdPart(table.table)}`,
    ],
    ['type', typeOf(operation)],
    ['time', new Date(Math.floor(context.commitUs / 1000)).toISOString()],
    ...(key === null ? [] : [['subject', key] as const]),
  ];
}
