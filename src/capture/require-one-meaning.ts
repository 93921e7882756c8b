/** Statements whose character set is not told: they may be read where each reading comes to the same. */

import { RowcallError } from '../errors.ts';
import { formatPlace } from '../position.ts';
import type { BinlogEvent } from './binlog/binlog-event.ts';
import { classifyQuery } from './binlog/classify-query.ts';
import { ddlHint } from './binlog/ddl-hint.ts';
import { renamedColumns } from './binlog/renamed-columns.ts';
import { statementTarget } from './binlog/statement-target.ts';
import type { Router } from './route/router.ts';

type QueryEvent = Extract<BinlogEvent, { type: 'query' }>;

/** @throws RowcallError BINLOG_EVENT_UNSUPPORTED: it may be about a captured table, and may say two things */
export function requireOneMeaning(
  event: QueryEvent,
  router: Pick<Router, 'couldCaptureSchema'>,
): void {
  if (event.otherTexts === undefined) return;
  const texts = [event.sql, ...event.otherTexts];
  const meanings = new Set(texts.map((sql) => JSON.stringify(meaningOf(event, sql))));
  // A name beyond ASCII is none that is known, even where all readings fail to read it alike.
  if (meanings.size === 1 && [...meanings].every(isAscii)) return;
  const schemas = texts.flatMap((sql) => schemasOf(event, sql));
  if (schemas.every((schema) => isAscii(schema) && !router.couldCaptureSchema(schema))) return;
  throw new RowcallError(
    'BINLOG_EVENT_UNSUPPORTED',
    'A statement is not ASCII, its event does not tell its character set, and what it does depends on that',
    {
      place: formatPlace(event),
      cure: 'rowcall binlog shows it. Do by hand what it did to captured tables (a TRUNCATE or DROP of one has no rows), then rowcall position set behind the place named.',
    },
  );
}

/** All that the capture takes from a text. */
function meaningOf({ schema, sqlMode }: QueryEvent, sql: string): unknown {
  const kind = classifyQuery(sql, sqlMode);
  if (kind !== 'other') return [kind, statementTarget(sql, schema)];
  const hint = ddlHint(sql, schema, sqlMode);
  const renamed = renamedColumns(sql, sqlMode);
  const changesRows = hint !== null && hint.effect !== 'none';
  return [kind, changesRows || renamed.length > 0 ? hint : null, renamed];
}

/** Of what it names, else its default one. */
function schemasOf({ schema, sqlMode }: QueryEvent, sql: string): readonly string[] {
  const target = statementTarget(sql, schema);
  const named = ddlHint(sql, schema, sqlMode)?.targets ?? (target === null ? [] : [target]);
  // Of any other statement nobody knows where it leads.
  return named.length === 0 ? ['\ufffd'] : named.map((one) => one.schema);
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}
