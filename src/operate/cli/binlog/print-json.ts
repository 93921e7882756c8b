/** An event as one line of JSON. docs/BINLOG.md lists the fields. */

import {
  isRead,
  type LegibleImage,
  type LegibleRow,
} from '../../../capture/decode/legible-rows.ts';
import type { RowcallError } from '../../../errors.ts';
import { codeOf, describeEvent, gtidText, isoTime } from './describe-event.ts';
import type { PlacedEvent } from './place-events.ts';
import type { EventPrinter, Write } from './print-event.ts';

/**
 * Rows are written as they are read, so that the line of a large event never exists as a whole. Values are JSON text
 * already: names are the only thing that is turned into JSON here, so that no name can be an object's own property.
 */
export const jsonPrinter: EventPrinter = {
  begin(write, placed) {
    write(JSON.stringify(headOf(placed)).slice(0, -1));
    if (placed.event.type === 'rows') write(',"rows":[');
  },
  row(write, row, index) {
    if (index > 0) write(',');
    writeRow(write, row);
  },
  end(write, { event }, refused) {
    if (event.type === 'rows') write(']');
    if (refused !== null) write(`,"error":${JSON.stringify(reasonOf(refused))}`);
    write('}\n');
  },
};

function headOf(placed: PlacedEvent): Readonly<Record<string, unknown>> {
  const { event, table } = placed;
  const { file, position, endPosition, bytes, timestamp, serverId, shown } = event;
  const { name, code } = codeOf(event);
  return {
    type: name,
    code,
    file,
    position,
    end_position: endPosition,
    bytes,
    timestamp: isoTime(timestamp * 1000),
    server_id: serverId,
    gtid: gtidText(placed),
    table: table?.name ?? null,
    ...(shown?.inner === true ? { compressed: true } : {}),
    ...describeEvent(placed),
  };
}

function writeRow(write: Write, { before, after }: LegibleRow): void {
  const failed: [string, RowcallError][] = [];
  write('{"before":');
  writeImage(write, before, failed);
  write(',"after":');
  writeImage(write, after, failed);
  // Beside the values, not in their place: there they could be taken for what the row holds.
  if (failed.length > 0) {
    const errors = new Map(failed.map(([name, error]) => [name, reasonOf(error)]));
    const fields = [...errors].map(([name, reason]) => {
      return `${JSON.stringify(name)}:${JSON.stringify(reason)}`;
    });
    write(`,"errors":{${fields.join(',')}}`);
  }
  write('}');
}

function writeImage(
  write: Write,
  image: LegibleImage | null,
  failed: [string, RowcallError][],
): void {
  if (image === null) {
    write('null');
    return;
  }
  let separator = '{';
  for (const { name, value } of image) {
    if (!isRead(value)) {
      failed.push([name, value]);
      continue;
    }
    write(`${separator}${JSON.stringify(name)}:`);
    write(value);
    separator = ',';
  }
  write(separator === '{' ? '{}' : '}');
}

function reasonOf({ code, message }: RowcallError): { code: string; message: string } {
  return { code, message };
}
