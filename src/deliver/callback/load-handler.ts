/** Handlers in process: found in a module or given in code, and checked against what the callback asks for. */

import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { Operation } from '../../change-event.ts';
import { RowcallError } from '../../errors.ts';
import type { Handler, OperationHandlers, RowEvent } from './handler.ts';

const METHODS = {
  insert: 'onInsert',
  update: 'onUpdate',
  delete: 'onDelete',
  read: 'onRead',
  truncate: 'onTruncate',
} as const satisfies Readonly<Record<Operation, keyof OperationHandlers>>;

/** @throws RowcallError HANDLER_INVALID */
export async function loadHandler(
  path: string,
  operations: readonly Operation[],
): Promise<Handler> {
  let module: unknown;
  try {
    module = await import(pathToFileURL(path).href);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new RowcallError('HANDLER_INVALID', `The module cannot be loaded: ${message}`, {
      place: path,
      cure: loadCure(path, error),
      cause: error,
    });
  }
  return handlerOf(module, operations, path);
}

/**
 * One handler for all operations, whichever way it was given: a function, `handle`, or `onInsert` and the like.
 *
 * @param place what to name in an error
 * @throws RowcallError HANDLER_INVALID also where an operation that the callback asks for has no function: passing its
 *   events over in silence would be a loss
 */
export function handlerOf(
  given: unknown,
  operations: readonly Operation[],
  place: string,
): Handler {
  if (typeof given === 'function') return given as Handler;
  const member = (name: string): unknown =>
    typeof given === 'object' && given !== null ? Reflect.get(given, name) : undefined;
  const handle = member('handle');
  const known = Object.values(METHODS).filter((name) => member(name) !== undefined);
  if (typeof handle === 'function' && known.length === 0) return handle.bind(given) as Handler;
  if (handle !== undefined || known.length === 0) {
    const text =
      handle === undefined || known.length === 0
        ? 'There is no function `handle`, nor `onInsert` and the like'
        : `Both \`handle\` and \`${known.join('`, `')}\` are there`;
    throw new RowcallError('HANDLER_INVALID', text, { place });
  }
  for (const operation of operations) {
    if (typeof member(METHODS[operation]) === 'function') continue;
    throw new RowcallError(
      'HANDLER_INVALID',
      `The callback asks for ${operation}, and there is no function \`${METHODS[operation]}\``,
      { place, cure: `Add it, or leave ${operation} out of callbacks[].operations.` },
    );
  }
  return byOperation(given as OperationHandlers);
}

function byOperation(handlers: OperationHandlers): Handler {
  return (event, context) => {
    const name = METHODS[event.operation];
    const handle: unknown = Reflect.get(handlers, name);
    // Only an event that `operations` leaves out can lack a function, and none of those is sent.
    if (typeof handle !== 'function' || !isWhole(event)) {
      throw new RowcallError('ENVELOPE_INVALID', `An event is not what ${name} is promised`, {
        place: `event ${event.id}`,
      });
    }
    // The operation and the images were just looked at, which no type can say of all five at once.
    return (handle as Handler).call(handlers, event, context);
  };
}

/** Whether the images are those of the operation. */
function isWhole({ operation, before, after }: RowEvent): boolean {
  const hasBefore = operation === 'update' || operation === 'delete';
  const hasAfter = operation !== 'delete' && operation !== 'truncate';
  return (before !== null) === hasBefore && (after !== null) === hasAfter;
}

/** An import that the module makes fails with the same code as a module that is not there: only the file tells. */
function loadCure(path: string, error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  if (code === 'ERR_MODULE_NOT_FOUND') {
    return existsSync(path)
      ? 'The module imports another one that is not there: see the message, and install it.'
      : 'There is no such file: correct deliver.module, which is relative to the configuration file.';
  }
  if (error instanceof SyntaxError) {
    return 'It cannot be parsed as an ES module: name it .mjs or set "type": "module" in its package.json, and correct what the message names.';
  }
  return 'Loading it threw the error named: correct the module.';
}
