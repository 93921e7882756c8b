/** Why an expression cannot be used, or could not be evaluated for an event. */

/** What is wrong with an expression as it is written, and what to write instead. */
export class ExpressionFault extends Error {
  /** Where in the expression, from 0. */
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.name = 'ExpressionFault';
    this.offset = offset;
  }
}

/** An event for which an expression has no value. `message` is for a person and quotes no value of the event. */
export class ShapeFailure extends Error {
  constructor(message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.name = 'ShapeFailure';
  }
}
