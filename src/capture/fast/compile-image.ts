/** Source of image writers made into functions: the one place where Rowcall makes code. See docs/adr/0016. */

import { imageCode } from './image-code.ts';
import type { ImageCode, ImagePlan } from './image-code.ts';
import { type ImageResult, type ImageState, WRITTEN } from './image-state.ts';
import * as number from './write-number.ts';
import * as text from './write-text.ts';
import * as time from './write-time.ts';

/** Writes the row image at `state.p` to `state.o`. A number other than WRITTEN leaves both as they were. */
export type ImageWriter = (state: ImageState) => ImageResult;

/** What generated code calls. */
const WRITERS = { ...number, ...text, ...time };

type PartMaker = (writers: typeof WRITERS, constants: readonly unknown[]) => ImageWriter;

function makeFunction(...argumentsAndBody: string[]): unknown {
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- a decoder for each table is the purpose; its source holds no text of a table (image-code.ts)
  return new Function(...argumentsAndBody);
}

/** Whether this process may make code: Node's `--disallow-code-generation-from-strings` and its like forbid it. */
export function canCompile(): boolean {
  try {
    makeFunction('return 0');
    return true;
  } catch (error) {
    // https://tc39.es/ecma262/#sec-hostensurecancompilestrings
    if (error instanceof EvalError) return false;
    throw error;
  }
}

/** @throws RowcallError of a column that cannot be read: COLUMN_TYPE_UNSUPPORTED, CHARSET_UNSUPPORTED */
export function compileImage(plan: ImagePlan): ImageWriter {
  const parts = imageCode(plan).map(compilePart);
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : inTurn(parts);
}

/** Constants become variables of the closure: V8 knows that they do not change. */
function compilePart({ source, constants }: ImageCode): ImageWriter {
  const declared = constants.map((_, i) => `const c${i}=constants[${i}];`).join('');
  const head = `'use strict';const{${Object.keys(WRITERS).join(',')}}=writers;${declared}`;
  const make = makeFunction(
    'writers',
    'constants',
    `${head}return function image(s){${source}}`,
  ) as PartMaker;
  return make(WRITERS, constants);
}

function inTurn(parts: readonly ImageWriter[]): ImageWriter {
  return (state) => {
    const { p, o } = state;
    for (const part of parts) {
      const result = part(state);
      if (result !== WRITTEN) {
        state.p = p;
        state.o = o;
        return result;
      }
    }
    return WRITTEN;
  };
}
