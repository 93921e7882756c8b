/**
 * MariaDB's GTIDs and positions. A domain is a stream of transactions of its own; within it, sequence numbers grow.
 * Text forms: https://mariadb.com/kb/en/gtid/
 */

import { RowcallError } from './errors.ts';

/** A transaction's identity: the domain, the server that first wrote it, and its number in the domain. */
export interface MariadbGtid {
  readonly domain: number;
  readonly server: number;
  readonly seq: bigint;
}

const GTID = /^\s*(\d{1,10})-(\d{1,10})-(\d{1,20})\s*$/;
const MAX_U32 = 2 ** 32 - 1;
const MAX_U64 = 2n ** 64n - 1n;

/** `domain-server-seq`, as the server prints it. */
export function formatMariadbGtid({ domain, server, seq }: MariadbGtid): string {
  return `${domain}-${server}-${seq}`;
}

/** @throws RowcallError GTID_SET_INVALID unless the text is one GTID. */
export function parseMariadbGtid(text: string): MariadbGtid {
  const match = GTID.exec(text);
  if (match === null) throw invalid(text);
  const [, domain = '', server = '', seq = ''] = match;
  const gtid = { domain: Number(domain), server: Number(server), seq: BigInt(seq) };
  if (gtid.domain > MAX_U32 || gtid.server > MAX_U32 || gtid.seq > MAX_U64) throw invalid(text);
  return gtid;
}

/** Whether a text is of MariaDB's form; an empty one is of both. */
export function isMariadbGtid(text: string): boolean {
  return GTID.test(text);
}

/**
 * How far each domain was seen. Invariant: one GTID for each domain, and within a domain numbers only grow. Without
 * the second a number would not tell what was seen, as every server of a topology may use it: so a number that does
 * not grow is an error, not a place.
 */
export class MariadbPosition {
  readonly #domains = new Map<number, MariadbGtid>();

  /**
   * Reads the server's text form, `0-1-5,3-2-8`; empty for nothing seen.
   *
   * @throws RowcallError GTID_SET_INVALID; also for a domain named twice
   */
  static parse(text: string): MariadbPosition {
    const position = new MariadbPosition();
    if (text.trim() === '') return position;
    for (const gtid of text.split(',').map(parseMariadbGtid)) {
      if (position.#domains.has(gtid.domain)) throw invalid(text);
      position.#domains.set(gtid.domain, gtid);
    }
    return position;
  }

  get isEmpty(): boolean {
    return this.#domains.size === 0;
  }

  /** The last one seen of each domain, in the order of the text. */
  entries(): readonly MariadbGtid[] {
    return [...this.#domains.values()].sort((left, right) => left.domain - right.domain);
  }

  /** The last one seen of a domain. */
  of(domain: number): MariadbGtid | undefined {
    return this.#domains.get(domain);
  }

  /** Whether it was seen, as far as its number tells: whoever wrote it. */
  covers({ domain, seq }: MariadbGtid): boolean {
    const last = this.#domains.get(domain);
    return last !== undefined && seq <= last.seq;
  }

  /** Whether everything that `other` has seen was seen. */
  includes(other: MariadbPosition): boolean {
    return other.entries().every((gtid) => this.covers(gtid));
  }

  add(gtid: MariadbGtid): void {
    this.requireNext(gtid);
    this.#domains.set(gtid.domain, gtid);
  }

  /** @throws RowcallError GTID_OUT_OF_ORDER: its number is not above the last one of its domain */
  requireNext(gtid: MariadbGtid): void {
    const last = this.#domains.get(gtid.domain);
    if (last !== undefined && gtid.seq <= last.seq) {
      throw new RowcallError(
        'GTID_OUT_OF_ORDER',
        `${formatMariadbGtid(gtid)} follows ${formatMariadbGtid(last)} in domain ${gtid.domain}`,
      );
    }
  }

  /** As `add`, where what is behind is passed over: for what servers say of themselves, several of a domain. */
  raise(gtid: MariadbGtid): void {
    if (!this.covers(gtid)) this.#domains.set(gtid.domain, gtid);
  }

  clone(): MariadbPosition {
    const copy = new MariadbPosition();
    for (const [domain, gtid] of this.#domains) copy.#domains.set(domain, gtid);
    return copy;
  }

  /** The server's text form, by domain. */
  toString(): string {
    return this.entries().map(formatMariadbGtid).join(',');
  }
}

function invalid(text: string): RowcallError {
  return new RowcallError('GTID_SET_INVALID', `Not a MariaDB GTID: ${text.trim().slice(0, 120)}`);
}
