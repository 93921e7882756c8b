/** `when` and `payload` of a callback: compiled here, so that what is wrong shows before anything runs. */

import { z } from 'zod';
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
