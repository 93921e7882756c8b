/** A record's id, table and operation as Kafka headers, and back. */
import { HEADER_ID, HEADER_OPERATION, HEADER_TABLE, OPERATION_OF } from '../../change-event.ts';
import type { LogRecord, OperationCode } from '../../change-event.ts';
import { RowcallError } from '../../errors.ts';

export type Header = readonly [name: string, value: string];

export function operationCode(text: string, place: string): OperationCode {
  if (Object.hasOwn(OPERATION_OF, text)) return text as OperationCode;
  throw new RowcallError('ENVELOPE_INVALID', `A record has the unknown operation ${text}`, {
    place,
  });
}

/** The record's own part: what its headers say. `place` is topic, partition and offset, for the error. */
export function fromHeaders(
  headers: readonly Header[],
  place: string,
): Pick<LogRecord, 'id' | 'table' | 'operation' | 'headers'> {
  let id: string | undefined;
  let table: string | undefined;
  let operation: OperationCode | undefined;
  const further: Header[] = [];
  for (const header of headers) {
    const [name, value] = header;
    if (name === HEADER_ID) id = value;
    else if (name === HEADER_TABLE) table = value;
    else if (name === HEADER_OPERATION) operation = operationCode(value, place);
    else further.push(header);
  }
  if (id === undefined || table === undefined || operation === undefined) {
    throw new RowcallError(
      'ENVELOPE_INVALID',
      `A record lacks one of the headers ${HEADER_ID}, ${HEADER_TABLE}, ${HEADER_OPERATION}`,
      { place },
    );
  }
  return { id, table, operation, ...(further.length === 0 ? {} : { headers: further }) };
}
