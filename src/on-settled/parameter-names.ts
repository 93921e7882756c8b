/** The parameters that a statement of `on_settled` may name. */

import { StatementFault } from './statement-fault.ts';

/** What is known of each event that is settled. */
export const FIXED_PARAMETERS = [
  'event_id',
  'callback',
  'table',
  'operation',
  'status',
  'attempts',
  'error',
  'at',
  'committed_at',
  'topic',
  'partition',
  'offset',
] as const;

export type FixedParameter = (typeof FIXED_PARAMETERS)[number];

/** Parts of the event, by the names of expressions, and what the receiver answered. */
const PARTS = ['key', 'before', 'after', 'answer'] as const;
export type ParameterPart = (typeof PARTS)[number];

/** A name taken apart. `path` is one column, or, of the answer, the way to the member. */
export type ParameterSource =
  | { readonly fixed: FixedParameter }
  | { readonly part: ParameterPart; readonly path: readonly string[] };

const SEGMENT = /\.([A-Za-z0-9_$]+|`(?:[^`]|``)+`)/g;

/** The name as it is kept: columns without backquotes. @throws StatementFault for none that there is */
export function parameterName(written: string): string {
  const [head = ''] = written.split('.', 1);
  const path = Array.from(written.matchAll(SEGMENT), ([, segment = '']) => unquoted(segment));
  if (path.length === 0 && isFixed(head)) return head;
  const part = PARTS.find((one) => one === head);
  if (part === undefined || isFixed(head)) throw new StatementFault(unknown(written));
  if (path.length === 0) {
    throw new StatementFault(
      `has :${written}, which is no single value; write for example :${part}.id`,
    );
  }
  if (part !== 'answer' && path.length > 1) {
    throw new StatementFault(
      `has :${written}; a column has one name: write :${part}.${path[0] ?? ''}`,
    );
  }
  return JSON.stringify([part, ...path]);
}

/** Of a name that `parameterName` gave. */
export function parameterSource(name: string): ParameterSource {
  if (isFixed(name)) return { fixed: name };
  const [part, ...path] = JSON.parse(name) as [ParameterPart, ...string[]];
  return { part, path };
}

/** For a person, as it is written in SQL. */
export function shownParameter(name: string): string {
  const source = parameterSource(name);
  return `:${'fixed' in source ? source.fixed : [source.part, ...source.path.map(quoted)].join('.')}`;
}

function quoted(segment: string): string {
  return /^[A-Za-z0-9_$]+$/.test(segment) ? segment : `\`${segment.replaceAll('`', '``')}\``;
}

function isFixed(name: string): name is FixedParameter {
  return FIXED_PARAMETERS.some((one) => one === name);
}

function unknown(written: string): string {
  const fixed = FIXED_PARAMETERS.map((one) => `:${one}`).join(', ');
  return `has :${written}, which there is not; there are ${fixed}, and :key.COLUMN, :before.COLUMN, :after.COLUMN and :answer.FIELD`;
}

function unquoted(segment: string): string {
  return segment.startsWith('`') ? segment.slice(1, -1).replaceAll('``', '`') : segment;
}
