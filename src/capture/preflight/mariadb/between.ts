/** What lies between two positions of MariaDB: of each domain the numbers from one to the other. */

import { formatMariadbGtid, type MariadbGtid, MariadbPosition } from '../../../mariadb-gtid.ts';

interface Range {
  /** Null from the domain's beginning on. */
  readonly after: MariadbGtid | null;
  readonly upTo: MariadbGtid;
}

/** Behind the one position, up to the other; nothing of a domain in which the other is not ahead. */
export class MariadbBetween {
  readonly #ranges: ReadonlyMap<number, Range>;

  constructor(from: MariadbPosition, to: MariadbPosition) {
    const ahead = to.entries().filter((gtid) => !from.covers(gtid));
    this.#ranges = new Map(
      ahead.map((upTo) => [upTo.domain, { after: from.of(upTo.domain) ?? null, upTo }]),
    );
  }

  get isEmpty(): boolean {
    return this.#ranges.size === 0;
  }

  /** How many numbers; of a server in strict mode each is a transaction. */
  get size(): bigint {
    let count = 0n;
    for (const { after, upTo } of this.#ranges.values()) count += upTo.seq - (after?.seq ?? 0n);
    return count;
  }

  contains({ domain, seq }: MariadbGtid): boolean {
    const range = this.#ranges.get(domain);
    return range !== undefined && seq <= range.upTo.seq && seq > (range.after?.seq ?? 0n);
  }

  /** How many of the numbers are at most the position's, and so not in a binlog that begins there. */
  sizeUpTo(position: MariadbPosition): bigint {
    let count = 0n;
    for (const { after, upTo } of this.#ranges.values()) {
      const end = position.of(upTo.domain)?.seq ?? 0n;
      const begin = after?.seq ?? 0n;
      const last = end < upTo.seq ? end : upTo.seq;
      if (last > begin) count += last - begin;
    }
    return count;
  }

  /** The last number of each domain that there is something of. */
  get ends(): readonly MariadbGtid[] {
    return [...this.#ranges.values()].map(({ upTo }) => upTo);
  }

  toString(): string {
    return [...this.#ranges.values()]
      .map(({ after, upTo }) => {
        const begin = after === null ? 'the beginning' : `behind ${formatMariadbGtid(after)}`;
        return `${begin} up to ${formatMariadbGtid(upTo)}`;
      })
      .join(', ');
  }
}

/** Where both have been: the lower one of each domain that both name. */
export function commonPosition(left: MariadbPosition, right: MariadbPosition): MariadbPosition {
  const common = new MariadbPosition();
  for (const gtid of left.entries()) {
    const other = right.of(gtid.domain);
    if (other !== undefined) common.add(other.seq < gtid.seq ? other : gtid);
  }
  return common;
}
