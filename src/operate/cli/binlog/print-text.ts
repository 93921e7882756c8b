/** An event as text for a person: one line, and beneath it what it says and its rows. */

import type { JsonText } from '../../../capture/decode/json-text.ts';
import { isRead, type LegibleImage } from '../../../capture/decode/legible-rows.ts';
import { codeOf, describeEvent, gtidText, isoTime } from './describe-event.ts';
import type { PlacedEvent } from './place-events.ts';
import type { EventPrinter } from './print-event.ts';

/** A value that is longer is told by its size: a person wants to see which row it is. */
const LONGEST = 'with --json it is there in full';

const COLOUR = { bold: '1', dim: '2', red: '31', green: '32', yellow: '33' } as const;

type Paint = (colour: keyof typeof COLOUR, text: string) => string;

/** @param colours whether a terminal reads it */
export function textPrinter(colours: boolean): EventPrinter {
  const paint: Paint = (colour, text) =>
    colours ? `\u001b[${COLOUR[colour]}m${text}\u001b[0m` : text;
  return {
    begin(write, placed) {
      write(`${headline(placed, paint)}\n`);
      for (const line of detailLines(placed)) write(`    ${line}\n`);
    },
    row(write, { before, after }) {
      if (before !== null) write(`  ${paint('red', `- ${imageText(before)}`)}\n`);
      if (after !== null) write(`  ${paint('green', `+ ${imageText(after)}`)}\n`);
    },
    end(write, _placed, refused) {
      if (refused === null) return;
      write(`  ${paint('yellow', `! ${refused.code}: ${legible(refused.message)}`)}\n`);
    },
  };
}

function headline(placed: PlacedEvent, paint: Paint): string {
  const { event, table } = placed;
  const { file, position, bytes, timestamp, serverId, shown } = event;
  const gtid = gtidText(placed);
  const parts = [
    paint('bold', codeOf(event).name),
    ...(table === null ? [] : [legible(table.name)]),
    `${bytes} bytes`,
    isoTime(timestamp * 1000),
    `server ${serverId}`,
    ...(gtid === null ? [] : [gtid]),
    ...(shown?.inner === true ? ['compressed'] : []),
  ];
  return `${paint('dim', `${file}:${position}`)}  ${parts.join('  ')}`;
}

/** Of rows and table maps the headline says it all. */
const OF_NO_INTEREST: ReadonlySet<string> = new Set(['rows', 'table-map']);

function detailLines(placed: PlacedEvent): string[] {
  if (OF_NO_INTEREST.has(placed.event.type)) return [];
  return Object.entries(describeEvent(placed)).flatMap(([name, value]) => {
    if (value === null || value === '') return [];
    const text = legible(String(value));
    return name === 'statement' ? text.split('\n') : [`${name.replaceAll('_', ' ')} ${text}`];
  });
}

function imageText(image: LegibleImage): string {
  const values = image.map(({ name, value }) => {
    return `${name}=${isRead(value) ? shortText(value) : `! ${value.code}: ${value.message}`}`;
  });
  return legible(values.join('  '));
}

function shortText(value: JsonText): string {
  if (typeof value === 'string') return value;
  return `(${value.byteLength} bytes; ${LONGEST})`;
}

/** Characters that steer a terminal are shown, never sent to it; line breaks of statements stay. */
function legible(text: string): string {
  return text.replace(
    /[^\P{Cc}\n\t]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
