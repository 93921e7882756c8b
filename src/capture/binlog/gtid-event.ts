/**
 * The two forms of a GTID event. Layouts: Gtid_event in libs/mysql/binlog/event/control_events.h.
 */

import { formatUuid } from '../../gtid-encoding.ts';
import { GNO_END } from '../../gtid-set.ts';
import type { Gtid } from '../../gtid-set.ts';
import type { ByteCursor } from '../byte-cursor.ts';

export interface GtidBody {
  readonly gtid: Gtid;
  /** Original commit timestamp in microseconds since the epoch; null where the event has none (5.7). */
  readonly commitUs: number | null;
}

/** The only type of logical clock there is; anything else means that we misread the event. */
const LOGICAL_CLOCK = 2;
/** Top bit of the 7-byte immediate timestamp: the original one differs and follows. */
const ORIGINAL_FOLLOWS = 1n << 55n;

/** Codes 33 and 34; in an anonymous event uuid and number are zero and mean nothing. */
export function readClassicGtid(body: ByteCursor, anonymous: boolean): GtidBody {
  body.skip(1);
  const uuid = formatUuid(body.slice(16));
  const gno = body.u64();
  if (!anonymous) checkNumber(body, gno);
  return { gtid: { uuid, tag: '', gno }, commitUs: readClassicTimestamp(body) };
}

function readClassicTimestamp(body: ByteCursor): number | null {
  if (body.remaining === 0) return null;
  const clock = body.u8();
  if (clock !== LOGICAL_CLOCK) throw body.fail(`logical clock of type ${clock}`);
  body.skip(16);
  if (body.remaining < 7) return null;
  const immediate = body.u56();
  const original = (immediate & ORIGINAL_FOLLOWS) === 0n ? immediate : body.u56();
  return Number(original);
}

/** Fields of the tagged form, in the only order in which they may stand. */
const FIELD = {
  FLAGS: 0,
  UUID: 1,
  GNO: 2,
  TAG: 3,
  LAST_COMMITTED: 4,
  SEQUENCE_NUMBER: 5,
  IMMEDIATE_TIMESTAMP: 6,
  ORIGINAL_TIMESTAMP: 7,
} as const;

/** Ids of MySQL 9: 0 to 11. A field over this that the writer calls required is not ours to pass over. */
const LAST_KNOWN_FIELD = 11;

/**
 * Code 42: one serialized message. Its size counts from its first byte; the fields stand in ascending order,
 * each behind its id; those at the end that we do not need are left, as the size tells where they end.
 */
export function readTaggedGtid(body: ByteCursor): GtidBody {
  const whole = body.remaining;
  const version = body.varint();
  if (version !== 1n) throw body.fail(`serialization version ${version}`);
  const size = body.safeVarint('its size');
  if (size !== whole) throw body.fail(`its size is ${size} where ${whole} bytes stand`);
  const required = body.safeVarint('its last required field') - 1;
  if (required > LAST_KNOWN_FIELD) throw body.fail(`field ${required} is required and unknown`);

  const fields: TaggedFields = { uuid: null, gno: null, tag: '', immediate: null, original: null };
  let last = -1;
  while (body.remaining > 0) {
    const id = body.safeVarint('a field id');
    if (id <= last) throw body.fail(`field ${id} stands behind field ${last}`);
    last = id;
    if (id > FIELD.ORIGINAL_TIMESTAMP) break;
    readTaggedField(body, id, fields);
  }
  const { uuid, gno, tag } = fields;
  if (uuid === null || gno === null) throw body.fail('it has no uuid or no number');
  checkNumber(body, gno);
  const commit = fields.original ?? fields.immediate;
  return { gtid: { uuid, tag, gno }, commitUs: commit };
}

interface TaggedFields {
  uuid: string | null;
  gno: bigint | null;
  tag: string;
  immediate: number | null;
  original: number | null;
}

function readTaggedField(body: ByteCursor, id: number, fields: TaggedFields): void {
  switch (id) {
    case FIELD.UUID:
      fields.uuid = readTaggedUuid(body);
      return;
    case FIELD.GNO:
      fields.gno = unfoldSign(body.varint());
      return;
    case FIELD.TAG:
      fields.tag = readTag(body);
      return;
    case FIELD.IMMEDIATE_TIMESTAMP:
      fields.immediate = body.safeVarint('its commit time');
      return;
    case FIELD.ORIGINAL_TIMESTAMP:
      fields.original = body.safeVarint('its original commit time');
      return;
    default:
      // Flags and logical clock: one number each.
      body.varint();
  }
}

/** Sixteen numbers, not sixteen bytes: each byte of the uuid is a varint of its own. */
function readTaggedUuid(body: ByteCursor): string {
  const bytes = Buffer.alloc(16);
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = body.safeVarint('a byte of its uuid');
    if (byte > 255) throw body.fail('a byte of its uuid is over 255');
    bytes[index] = byte;
  }
  return formatUuid(bytes);
}

function readTag(body: ByteCursor): string {
  const length = body.safeVarint("its tag's length");
  if (length > 32) throw body.fail(`a tag of ${length} characters`);
  const tag = body.slice(length).toString('latin1');
  if (!/^(?:[a-z_][a-z0-9_]*)?$/.test(tag)) throw body.fail('its tag is not well formed');
  return tag;
}

/** The sign stands in the lowest bit, so that small negatives stay short. */
function unfoldSign(value: bigint): bigint {
  return (value & 1n) === 0n ? value >> 1n : -(value >> 1n) - 1n;
}

function checkNumber(body: ByteCursor, gno: bigint): void {
  if (gno < 1n || gno >= GNO_END) throw body.fail(`transaction number ${gno}`);
}
