/** Tells of XA transactions that stay prepared: nobody else may have noticed, and they block more with every hour. */

import { formatPlace } from '../../position.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';
import type { Place } from '../append/place.ts';

/** From so long on a transaction between two phases is one that was forgotten. */
export const LONG_MS = 10 * 60_000;

/** Warns once of each, as long as it lives. */
export class PreparedWatch {
  readonly #place: Place;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #told = new Set<string>();

  constructor(parts: { readonly place: Place; readonly clock: Clock; readonly logger: Logger }) {
    this.#place = parts.place;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
  }

  /** Looks at all that are open. */
  look(): void {
    const { prepared } = this.#place;
    if (prepared.size === 0 && this.#told.size === 0) return;
    const still = new Set<string>();
    for (const { xid, gtid, timestamp, at } of prepared.all) {
      const openMs = this.#clock.now() - timestamp * 1000;
      if (openMs < LONG_MS) continue;
      const id = `${xid} ${timestamp}`;
      still.add(id);
      if (this.#told.has(id)) continue;
      const place = at === null ? gtid : formatPlace(at);
      this.#logger.warn(
        { xid, gtid, place, openSeconds: Math.round(openMs / 1000) },
        `XA transaction ${xid} has been prepared for long: its rows come at XA COMMIT, and the binlog must be kept from ${place ?? 'there'} on until then. XA RECOVER lists it; where its transaction manager forgot it, end it with XA COMMIT or XA ROLLBACK.`,
      );
    }
    this.#told = still;
  }
}
