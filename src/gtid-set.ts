/**
 * GTIDs and sets of them, as numbers: the text is made only for a checkpoint or a person.
 * Text form: https://dev.mysql.com/doc/refman/8.4/en/replication-gtids-concepts.html ("GTID Sets").
 */

import { RowcallError } from './errors.ts';
import { addInterval, contains, covers, subtract } from './gtid-intervals.ts';
import type { Intervals } from './gtid-intervals.ts';

/** A transaction's identity. `uuid` and `tag` in lower case, `tag` empty for an untagged GTID. */
export interface Gtid {
  readonly uuid: string;
  readonly tag: string;
  readonly gno: bigint;
}

/** One past the greatest transaction number: the server's GNO_END. */
export const GNO_END = 2n ** 63n - 1n;

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const UUID_CHARS = 36;
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;
const INTERVAL = /^(\d{1,19})(?:\s*-\s*(\d{1,19}))?$/;

/** `uuid:gno` or `uuid:tag:gno`, as the server prints it. */
export function formatGtid(gtid: Gtid): string {
  return `${sourceOf(gtid)}:${gtid.gno}`;
}

/** @throws RowcallError GTID_SET_INVALID unless the text is one GTID. */
export function parseGtid(text: string): Gtid {
  const parts = text.toLowerCase().split(':');
  const tagged = parts.length === 3;
  const uuid = parts[0] ?? '';
  const tag = tagged ? (parts[1] ?? '') : '';
  const [start, end] = parseInterval(parts[tagged ? 2 : 1] ?? '');
  const formed = parts.length <= 3 && UUID.test(uuid) && (!tagged || TAG.test(tag));
  if (!formed || end !== start + 1n) throw invalid(text);
  return { uuid, tag, gno: start };
}

/** What one source (uuid and tag) is known by: the key of a set's entries. */
function sourceOf(gtid: { readonly uuid: string; readonly tag: string }): string {
  return gtid.tag === '' ? gtid.uuid : `${gtid.uuid}:${gtid.tag}`;
}

/**
 * Which transactions were seen. Invariant: per source (`uuid` or `uuid:tag`) sorted, disjoint half-open
 * intervals that do not touch, none empty. Without it containment would need a search, and equal sets
 * would have two texts.
 */
export class GtidSet {
  readonly #sources = new Map<string, Intervals>();

  /**
   * Reads the server's text form: any case, white space and newlines between the parts.
   *
   * @throws RowcallError GTID_SET_INVALID
   */
  static parse(text: string): GtidSet {
    const set = new GtidSet();
    for (const element of text.toLowerCase().split(',')) {
      if (element.trim() !== '') set.#parseElement(element);
    }
    return set;
  }

  #parseElement(element: string): void {
    const [uuid = '', ...items] = element.split(':').map((part) => part.trim());
    if (!UUID.test(uuid)) throw invalid(element);
    let source = uuid;
    // A tag names the intervals behind it, so one without any is half a text.
    let complete = false;
    for (const item of items) {
      if (TAG.test(item)) {
        if (source !== uuid && !complete) throw invalid(element);
        source = `${uuid}:${item}`;
        complete = false;
      } else {
        const [start, end] = parseInterval(item);
        this.addRange(source, start, end);
        complete = true;
      }
    }
    if (!complete) throw invalid(element);
  }

  get isEmpty(): boolean {
    return this.#sources.size === 0;
  }

  /** Whether any source has a tag: such a set cannot be sent to a server before 8.3. */
  get hasTags(): boolean {
    for (const source of this.#sources.keys()) if (source.includes(':')) return true;
    return false;
  }

  /** Each source with its intervals, a flat list of starts and exclusive ends; in the order of the text. */
  entries(): readonly (readonly [source: string, intervals: readonly bigint[]])[] {
    return [...this.#sources].sort(([left], [right]) => (left < right ? -1 : 1));
  }

  add(gtid: Gtid): void {
    const source = sourceOf(gtid);
    const intervals = this.#sources.get(source);
    // Nearly every transaction is the next one of its source.
    if (intervals?.at(-1) === gtid.gno) intervals[intervals.length - 1] = gtid.gno + 1n;
    else this.addRange(source, gtid.gno, gtid.gno + 1n);
  }

  /** Adds `start` up to, not including, `end`. `source` is `uuid` or `uuid:tag`, in lower case. */
  addRange(source: string, start: bigint, end: bigint): void {
    if (start < 1n || end <= start || end > GNO_END) {
      throw invalid(`${source}:${start}-${end - 1n}`);
    }
    const intervals = this.#sources.get(source);
    if (intervals === undefined) this.#sources.set(source, [start, end]);
    else addInterval(intervals, start, end);
  }

  contains(gtid: Gtid): boolean {
    const intervals = this.#sources.get(sourceOf(gtid));
    return intervals !== undefined && contains(intervals, gtid.gno);
  }

  isSubsetOf(other: GtidSet): boolean {
    for (const [source, intervals] of this.#sources) {
      const theirs = other.#sources.get(source);
      if (theirs === undefined || !covers(theirs, intervals)) return false;
    }
    return true;
  }

  equals(other: GtidSet): boolean {
    return this.isSubsetOf(other) && other.isSubsetOf(this);
  }

  /** A new set: what is in either. */
  union(other: GtidSet): GtidSet {
    const result = this.clone();
    for (const [source, intervals] of other.#sources) {
      const mine = result.#sources.get(source);
      if (mine === undefined) result.#sources.set(source, [...intervals]);
      else {
        for (let at = 0; at < intervals.length; at += 2) {
          addInterval(mine, intervals[at] ?? 0n, intervals[at + 1] ?? 0n);
        }
      }
    }
    return result;
  }

  /** A new set: what is in this one and not in the other. */
  subtract(other: GtidSet): GtidSet {
    const result = new GtidSet();
    for (const [source, intervals] of this.#sources) {
      const rest = subtract(intervals, other.#sources.get(source) ?? []);
      if (rest.length > 0) result.#sources.set(source, rest);
    }
    return result;
  }

  /** A new set: what was written on this server, tagged or not. */
  of(uuid: string): GtidSet {
    const result = new GtidSet();
    for (const [source, intervals] of this.#sources) {
      if (source.slice(0, UUID_CHARS) === uuid) result.#sources.set(source, [...intervals]);
    }
    return result;
  }

  /** How many transactions. */
  get size(): bigint {
    let count = 0n;
    for (const intervals of this.#sources.values()) {
      for (let at = 0; at < intervals.length; at += 2) {
        count += (intervals[at + 1] ?? 0n) - (intervals[at] ?? 0n);
      }
    }
    return count;
  }

  clone(): GtidSet {
    const copy = new GtidSet();
    for (const [source, intervals] of this.#sources) copy.#sources.set(source, [...intervals]);
    return copy;
  }

  /** The server's text form on one line: `uuid:1-5:8:tag:1,uuid:3`; empty for the empty set. */
  toString(): string {
    const elements: string[] = [];
    let last = '';
    for (const [source, intervals] of this.entries()) {
      const uuid = source.slice(0, UUID_CHARS);
      const text = formatIntervals(intervals);
      // A uuid's tags stand behind its untagged part, within one element.
      if (uuid === last) {
        elements.push(`${elements.pop() ?? ''}${source.slice(UUID_CHARS)}:${text}`);
      } else elements.push(`${source}:${text}`);
      last = uuid;
    }
    return elements.join(',');
  }
}

function formatIntervals(intervals: readonly bigint[]): string {
  const parts: string[] = [];
  for (let at = 0; at < intervals.length; at += 2) {
    const start = intervals[at] ?? 0n;
    const last = (intervals[at + 1] ?? 0n) - 1n;
    parts.push(start === last ? `${start}` : `${start}-${last}`);
  }
  return parts.join(':');
}

/** `8` or `1-5` as start and exclusive end. */
function parseInterval(text: string): [start: bigint, end: bigint] {
  const match = INTERVAL.exec(text);
  if (match === null) throw invalid(text);
  const start = BigInt(match[1] ?? '');
  const end = match[2] === undefined ? start + 1n : BigInt(match[2]) + 1n;
  if (start < 1n || end <= start || end > GNO_END) throw invalid(text);
  return [start, end];
}

function invalid(text: string): RowcallError {
  return new RowcallError('GTID_SET_INVALID', `Not a GTID set: ${text.trim().slice(0, 120)}`);
}
