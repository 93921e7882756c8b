/** Looking through the log by one bounded question after another, and saying how far. */

import type { z } from 'zod';
import type { Looked } from '../admin/routes/events.ts';
import type { ApiClient } from './api-client.ts';
import type { CliIo } from './io.ts';
import { ProgressLine } from './progress-line.ts';

export interface LookOptions {
  readonly cursor?: string;
  /** Records looked at, at most: about, since one question is answered whole. */
  readonly maxRecords: number;
}

/** How far a look came, over all its questions. */
export interface Extent extends Looked {
  readonly stopped: boolean;
}

interface Asking<T extends z.ZodType<Looked>> {
  readonly path: string;
  /** Of the next question. */
  readonly query: () => Readonly<Record<string, string | number | undefined>>;
  readonly answer: T;
  /** True: no more is needed. */
  readonly take: (answer: z.output<T>) => boolean;
}

/** Asks until it is enough, the log ends, `maxRecords` are looked at, or the process is asked to stop. */
export async function lookOn<T extends z.ZodType<Looked>>(
  client: ApiClient,
  { path, query, answer, take }: Asking<T>,
  { cursor: from, maxRecords }: LookOptions,
  io: CliIo,
): Promise<Extent> {
  const line = new ProgressLine(io);
  let records = 0;
  try {
    for (let cursor = from; ;) {
      const found = await client.ask({ path, query: { ...query(), cursor }, answer });
      records += found.records;
      const enough = take(found) || found.next === null;
      if (enough || records >= maxRecords || io.signal.aborted) {
        return { records, next: found.next, reached: found.reached, stopped: !enough };
      }
      cursor = found.next ?? undefined;
      line.show(`Looked at ${formatCount(records)} records, to ${placeOf(found)}`);
    }
  } finally {
    line.clear();
  }
}

/** A sentence: how much was looked at, and how to look on. */
export function describeExtent({ records, next, reached }: Extent): string {
  const looked = `${formatCount(records)} record${records === 1 ? '' : 's'} looked at`;
  if (next === null || reached === null) return `${looked}, to the end of the log.\n`;
  return `${looked}, to ${placeOf({ reached })}. To look on: --cursor ${next}\n`;
}

function placeOf({ reached }: Pick<Looked, 'reached'>): string {
  if (reached === null) return 'the end';
  return `${reached.topic}/${reached.partition}@${reached.offset}`;
}

/** 1,234,567 */
export function formatCount(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}
