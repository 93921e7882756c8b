/** Where the figures of docs/RELIABILITY.md come from: one line of JSON per case, for who asks for them. */
import { appendFileSync } from 'node:fs';

import type { LogCount } from './reliability-count.ts';

export interface CaseFigures extends Partial<Omit<LogCount, 'repeats'>> {
  readonly case: string;
  /** What the fault did, in figures: cuts, kills, seconds to go on. */
  readonly fault?: Readonly<Record<string, number | string>>;
}

/** Appends to the file that ROWCALL_RELIABILITY_FIGURES names; nothing without it. */
export function tell(figures: CaseFigures): void {
  const file = process.env['ROWCALL_RELIABILITY_FIGURES'];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(figures)}\n`);
}
