/** Expressions over the answer of an endpoint: its status, its headers, and its body where that is JSON. */

import type { ParseResult } from '@marcbachmann/cel-js';
import { nodesOf, rootOf, type Node } from './ast.ts';
import { Language, shapeFailure } from './engine.ts';
import { Evaluation, install } from './evaluation.ts';
import { readValue, type Value } from './exact-value.ts';
import { ShapeFailure } from './fault.ts';
import { refuseShadowing } from './uses.ts';

/** The answer of an endpoint, whole. */
export interface HttpAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  /** Bounded by whoever read it. */
  readonly body: Buffer;
}

const language = new Language({ status: 'int', headers: 'dyn', body: 'dyn' });
const NAMES = ['status', 'headers', 'body'];

/** `done_when` and `failed_when`. */
export class AnswerCondition {
  readonly #expression: AnswerExpression;

  /** @throws ExpressionFault */
  constructor(text: string) {
    const otherType = 'write a comparison, such as body.state == "done"';
    this.#expression = new AnswerExpression(text, { types: ['bool', 'dyn'], otherType });
  }

  /** @throws ShapeFailure */
  holds(answer: HttpAnswer): boolean {
    const value = this.#expression.evaluate(answer);
    if (typeof value === 'boolean') return value;
    throw new ShapeFailure('it gives neither true nor false; write a comparison');
  }
}

/** Where to ask, out of the answer of an endpoint. */
export class AnswerText {
  readonly #expression: AnswerExpression;

  /** @throws ExpressionFault */
  constructor(text: string) {
    const otherType = 'write a text, such as "/jobs/" + body.id';
    this.#expression = new AnswerExpression(text, { types: ['string', 'dyn'], otherType });
  }

  /** @throws ShapeFailure */
  of(answer: HttpAnswer): string {
    const value = this.#expression.evaluate(answer);
    if (typeof value === 'string') return value;
    throw new ShapeFailure('it gives no text; write one, such as "/jobs/" + body.id');
  }
}

/** Bounded as `Expression` is: the endpoint chooses what it is evaluated over. */
class AnswerExpression {
  readonly #parsed: ParseResult;
  readonly #evaluation = new Evaluation();
  readonly #readsBody: boolean;

  constructor(
    text: string,
    types: { readonly types: readonly string[]; readonly otherType: string },
  ) {
    this.#parsed = language.compile(text, types);
    const root = rootOf(this.#parsed.ast);
    refuseShadowing(root, NAMES);
    this.#readsBody = [...nodesOf(root)].some((node) => node.op === 'id' && node.args === 'body');
    install(root, this.#evaluation, isInput);
  }

  evaluate({ status, headers, body }: HttpAnswer): unknown {
    this.#evaluation.begin(null, body.length);
    try {
      return this.#parsed({ status: BigInt(status), headers, body: this.#json(body) });
    } catch (error) {
      throw error instanceof ShapeFailure ? error : shapeFailure(error);
    } finally {
      this.#evaluation.end();
    }
  }

  /** Null where there is none. What is no JSON is no answer: all that is asked of it would be null, and `== null` hold. */
  #json(body: Buffer): Value {
    if (body.length === 0 || !this.#readsBody) return null;
    try {
      return readValue(body, new Map());
    } catch (cause) {
      throw new ShapeFailure("the answer's body is not JSON", { cause });
    }
  }
}

function isInput(node: Node): boolean {
  return node.op === 'id' && (node.args === 'body' || node.args === 'headers');
}
