/** What is found wrong with a log before it is used. */

import { type ErrorCode, RowcallError } from '../errors.ts';

export interface LogFinding {
  /** What was looked at: a topic, a setting, a limit. */
  readonly check: string;
  /** What is there. */
  readonly value: string;
  readonly want: string;
  readonly why: string;
  /** What a person does about it. */
  readonly cure: string;
  /** An error stops the start; a warning is told and lived with. */
  readonly severity: 'error' | 'warning';
  /** What the start stops with. */
  readonly code: ErrorCode;
}

/** Three lines for a person. */
export function formatLogFinding({ check, value, want, why, cure }: LogFinding): string {
  return `- ${check} is ${value}, wanted: ${want}\n  ${why}\n  ${cure}`;
}

/** Returns the warnings. @throws RowcallError of the first error's code, which lists every error */
export function requireUsableLog(findings: readonly LogFinding[]): readonly LogFinding[] {
  const errors = findings.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  if (first === undefined) return findings;
  const list = errors.map(formatLogFinding).join('\n');
  const message = `The log cannot be used as it is:\n${list}`;
  throw new RowcallError(first.code, message, { place: first.check, cure: first.cure });
}
