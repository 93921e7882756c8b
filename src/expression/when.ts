/** `when`: whether a callback wants an event. */

import type { EventParts } from './event-parts.ts';
import { Expression } from './expression.ts';
import { ShapeFailure } from './fault.ts';

export class When {
  readonly #expression: Expression;

  /** @throws ExpressionFault */
  constructor(text: string) {
    this.#expression = new Expression(text, {
      types: ['bool', 'dyn'],
      otherType: 'write a comparison, such as after.status == "SHIPPED"',
      passOn: false,
    });
  }

  /** @throws ShapeFailure; RowcallError ENVELOPE_INVALID */
  holds(parts: EventParts): boolean {
    const { value } = this.#expression.evaluate(parts);
    if (typeof value === 'boolean') return value;
    throw new ShapeFailure(
      `it gives ${value === null ? 'null' : 'a value'} that is neither true nor false; write a comparison, such as after.x == 1`,
    );
  }
}
