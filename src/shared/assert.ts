/** Assertions for what only a defect of ours can break; user input never trips one. */

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`Assertion failed: ${message}`);
}

/** The value, known to be there by an invariant that `what` names. */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new Error(`Assertion failed: ${what} is absent`);
  return value;
}

/** Closes the switch over a union: a new member is a compile error here. */
export function unreachable(value: never): never {
  throw new Error(`Assertion failed: unexpected ${JSON.stringify(value)}`);
}
