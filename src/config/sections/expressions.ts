/** What a callback gets and how: `when` and `payload`, compiled here, so that what is wrong shows before anything runs. */

import { z } from 'zod';
import { AnswerCondition, AnswerText } from '../../expression/answer-expression.ts';
import { ExpressionFault } from '../../expression/fault.ts';
import { payloadOf } from '../../expression/payload.ts';
import { When } from '../../expression/when.ts';
import { columnName, expecting, uniqueList } from '../scalars.ts';

export const whenSchema = expression(
  (text) => new When(text),
  'after.status == "SHIPPED"',
).describe('CEL: only events for which it holds. An absent image, field or key is null.');

const columnsSchema = z.strictObject({
  columns: uniqueList(columnName(), '[id, status]', 4096).describe(
    'The usual data with these columns alone in before and after.',
  ),
});

export const payloadSchema = z
  .union([expression(payloadOf, `'{"order_id": after.id}'`), columnsSchema], {
    error: expecting('an expression in quotes, or {columns: […]}', `'{"order_id": after.id}'`),
  })
  .describe('CEL: a map that is sent as data; or the columns that are sent.');

export const doneWhenSchema = expression(
  (text) => new AnswerCondition(text),
  'body.state == "done"',
).describe('CEL over status, headers and body of the status URL: whether the event has succeeded.');

export const failedWhenSchema = expression(
  (text) => new AnswerCondition(text),
  'body.state == "failed"',
).describe('CEL, the same: whether the attempt has failed. Asked first.');

export const statusUrlSchema = expression(
  (text) => new AnswerText(text),
  `'"/jobs/" + body.id'`,
).describe(
  "CEL over status, headers and body of the 202: the status URL. Default: the 202's Location.",
);

/** It goes with every request. */
const MAX_METADATA_BYTES = 2048;

export const metadataSchema = z
  .record(
    z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, {
      error: 'is no name of metadata; write 1 to 64 of the characters a-z, A-Z, 0-9, _, . and -',
    }),
    z.union([z.string(), z.number(), z.boolean()], {
      error: expecting('text, a number, or true or false', 'logistics'),
    }),
    { error: expecting('a mapping', '{ team: logistics }') },
  )
  .refine((metadata) => Buffer.byteLength(JSON.stringify(metadata)) <= MAX_METADATA_BYTES, {
    error: `is over ${MAX_METADATA_BYTES} bytes as JSON; shorten it`,
  })
  .describe('Passed along with every attempt, as it is written.');

function expression(
  compile: (text: string) => unknown,
  example: string,
): z.ZodType<string, string> {
  return z
    .string({ error: expecting('an expression in quotes', example) })
    .superRefine((text, context) => {
      try {
        compile(text);
      } catch (error) {
        if (!(error instanceof ExpressionFault)) throw error;
        const { message, offset } = error;
        const where = offset === 0 ? '' : `, at character ${offset + 1}`;
        context.addIssue({
          code: 'custom',
          message: `${message}${where}`,
          params: { within: { text, offset } },
        });
      }
    });
}
