/** `payload`: what a callback is sent in the place of the row's images. */

import type { EventParts, Part } from './event-parts.ts';
import { writeValue, Verbatim } from './exact-value.ts';
import { Expression } from './expression.ts';
import { ShapeFailure } from './fault.ts';

/** A CEL map, or the columns of both images. */
export type PayloadText = string | { readonly columns: readonly string[] };

/** Makes a callback's `data`. */
export interface Payload {
  /** JSON. @throws ShapeFailure; RowcallError ENVELOPE_INVALID */
  data(parts: EventParts): Buffer;
}

/** @throws ExpressionFault */
export function payloadOf(text: PayloadText): Payload {
  return typeof text === 'string' ? new MappedPayload(text) : new ProjectedPayload(text.columns);
}

class MappedPayload implements Payload {
  readonly #expression: Expression;

  constructor(text: string) {
    this.#expression = new Expression(text, {
      types: ['map', 'dyn'],
      otherType: 'write a map, such as {"order_id": after.id}',
      passOn: true,
    });
  }

  data(parts: EventParts): Buffer {
    const { value, doubles } = this.#expression.evaluate(parts);
    if (value instanceof Verbatim && value.json[0] === OBJECT) return Buffer.from(value.json);
    if (value instanceof Map) return Buffer.from(writeValue(value, doubles), 'utf8');
    throw new ShapeFailure('it gives no map; write one, such as {"order_id": after.id}');
  }
}

/** The usual data with fewer columns: `key`, `before`, `after`, `source`. */
class ProjectedPayload implements Payload {
  readonly #columns: ReadonlySet<string>;

  constructor(columns: readonly string[]) {
    this.#columns = new Set(columns);
  }

  data(parts: EventParts): Buffer {
    const pieces = [
      Buffer.from('{"key":'),
      parts.json('key') ?? NULL,
      Buffer.from(',"before":'),
      ...this.#project(parts, 'before'),
      Buffer.from(',"after":'),
      ...this.#project(parts, 'after'),
      Buffer.from(',"source":'),
      parts.json('source') ?? NULL,
      Buffer.from('}'),
    ];
    return Buffer.concat(pieces);
  }

  #project(parts: EventParts, part: Part): Buffer[] {
    const columns = parts.columns(part);
    if (columns === null) return [NULL];
    const kept = [...columns].filter(([name]) => this.#columns.has(name));
    const members = kept.flatMap(([name, json], index) => [
      Buffer.from(`${index === 0 ? '' : ','}${JSON.stringify(name)}:`),
      json,
    ]);
    return [Buffer.from('{'), ...members, Buffer.from('}')];
  }
}

const OBJECT = 0x7b;
const NULL = Buffer.from('null');
