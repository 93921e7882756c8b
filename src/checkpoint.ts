/** The checkpoint as text, as the log keeps it. What cannot be understood in full is refused. */

import { z } from 'zod';
import { RowcallError } from './errors.ts';
import { parseAnyGtid } from './executed-gtids.ts';
import { GtidSet } from './gtid-set.ts';
import { MariadbPosition } from './mariadb-gtid.ts';
import type { Checkpoint } from './position.ts';

/** Positions and counts: whole, not negative, below 2^53. */
const count = z.int().min(0);
const gtid = z.string().refine((text) => isFormed(() => parseAnyGtid(text)), 'not a GTID');

/** What is the same in all versions. */
const common = {
  serverUuid: z.string().min(1),
  gtidSet: z.string().refine(isGtids, 'neither a GTID set nor a MariaDB position').nullable(),
  file: z.string().min(1),
  position: count.min(4),
  fileCreated: count,
  last: z
    .strictObject({
      gtid: gtid.nullable(),
      file: z.string().min(1),
      position: count.min(4),
      timestamp: count,
      commitUs: count.nullable(),
    })
    .nullable(),
  open: z.array(
    z.strictObject({
      transaction: z.string().min(1),
      commitUs: count.nullable(),
      timestamp: count.nullable(),
      tables: z.record(z.string(), z.strictObject({ ordinal: count, keyed: z.boolean() })),
    }),
  ),
  routing: z.string(),
  hiding: z
    .array(
      z.strictObject({
        schema: z.string(),
        table: z.string(),
        columns: z.array(z.string()),
        hidden: z.array(z.string()),
      }),
    )
    .exactOptional(),
};

const topic = { id: z.string(), partitions: count.min(1) };
const table = z.strictObject({ schema: z.string().min(1), table: z.string().min(1) });

const second = {
  ...common,
  topics: z.record(
    z.string(),
    z.strictObject({
      ...topic,
      table: table.nullable(),
      aggregateType: z.string().exactOptional(),
      others: z.array(table).exactOptional(),
      dropped: z.array(table).exactOptional(),
      shapes: z.record(z.string(), z.string()).exactOptional(),
    }),
  ),
};

const prepared = z.array(
  z.strictObject({
    xid: z.string().min(1),
    gtid: gtid.nullable(),
    commitUs: count.nullable(),
    timestamp: count,
    captured: z.boolean(),
    at: z
      .strictObject({ file: z.string().min(1), position: count.min(4), fileCreated: count })
      .nullable(),
  }),
);

const current = z.strictObject({ version: z.literal(3), ...second, prepared });

/** Before XA transactions were read: each stopped the capture, so that none was open. */
const withoutPrepared = z
  .strictObject({ version: z.literal(2), ...second })
  .transform((value): Checkpoint => {
    return { ...value, version: 3, prepared: [] };
  });

/** Before a topic's table was remembered. */
const first = z
  .strictObject({
    version: z.literal(1),
    ...common,
    topics: z.record(z.string(), z.strictObject(topic)),
  })
  .transform(({ topics, ...rest }): Checkpoint => {
    const made = Object.entries(topics).map(([name, info]) => [name, { ...info, table: null }]);
    const tables = Object.fromEntries(made) as Checkpoint['topics'];
    return { ...rest, version: 3, prepared: [], topics: tables };
  });

const checkpoint = z.discriminatedUnion('version', [current, withoutPrepared, first]);

/** There may be thousands of topics and tables, and they hardly ever change from one checkpoint to the next. */
const texts = new WeakMap<object, string>();

function textOf(part: object): string {
  let text = texts.get(part);
  if (text === undefined) texts.set(part, (text = JSON.stringify(part)));
  return text;
}

export function formatCheckpoint({ topics, hiding, ...rest }: Checkpoint): string {
  const tables = hiding === undefined ? '' : `,"hiding":${textOf(hiding)}`;
  return `${JSON.stringify(rest).slice(0, -1)}${tables},"topics":${textOf(topics)}}`;
}

/** @throws RowcallError CHECKPOINT_UNREADABLE, which names every field that is off. */
export function parseCheckpoint(text: string): Checkpoint {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RowcallError('CHECKPOINT_UNREADABLE', 'The checkpoint is not JSON', { cause: error });
  }
  const result = checkpoint.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new RowcallError(
    'CHECKPOINT_UNREADABLE',
    `The checkpoint cannot be read: ${issues.join('; ')}`,
  );
}

function isGtids(text: string): boolean {
  return isFormed(() => GtidSet.parse(text)) || isFormed(() => MariadbPosition.parse(text));
}

function isFormed(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch (error) {
    if (error instanceof RowcallError) return false;
    throw error;
  }
}
