/** Tables with columns whose type MariaDB's binlog leaves open: asked for once, until the table may have been altered. */

import { RowcallError } from '../errors.ts';
import { comparePlaces, type FilePosition } from '../position.ts';
import { mayChangeTypes } from './binlog/may-change-types.ts';
import type { Column } from './decode/column.ts';
import { isOfOpenWidth, type ToldTypes } from './decode/mariadb-columns.ts';
import type { TableVersion } from './decode/table-map.ts';
import type { Route, Router } from './route/router.ts';

/** Who knows the types of columns: the port. */
export interface ColumnTypeSource {
  /**
   * What the columns were when the rows at the place were written.
   *
   * @throws RowcallError COLUMN_TYPE_UNPROVEN where that cannot be told for certain; what questions and a dump throw
   */
  typesOf(table: TableVersion, columns: readonly Column[], at: FilePosition): Promise<ToldTypes>;
}

/** Routes kept; the one longest unused is asked for again. */
const MAX_SETTLED = 2_000;

interface Settled {
  readonly route: Route;
  /** The place of the rows that it was asked for: it holds from there on. */
  readonly since: FilePosition;
}

/**
 * Invariant: what is kept of a table holds from the row that it was asked for up to the row at hand, because every
 * statement between them went through `statement`. Without that a column that became a UUID would go on as bytes:
 * the binlog describes both alike.
 */
export class OpenColumns {
  readonly #router: Pick<Router, 'settled'>;
  readonly #source: ColumnTypeSource | null;
  readonly #settled = new Map<Route, Settled>();

  constructor(router: Pick<Router, 'settled'>, source: ColumnTypeSource | null) {
    this.#router = router;
    this.#source = source;
  }

  /** The route with all of its types; a promise where they have to be asked for. */
  settled(route: Route, at: FilePosition): Route | Promise<Route> {
    if (route.open.length === 0) return route;
    const known = this.#settled.get(route);
    // Rows of an XA transaction are read again at its commit: what holds now may not have held there.
    if (known !== undefined && comparePlaces(known.since, at) <= 0) return known.route;
    return this.#ask(route, at);
  }

  /** A statement that is no row change came by. */
  statement(sql: string): void {
    for (const route of this.#settled.keys()) {
      const open = { times: route.open.some(isOfOpenWidth) };
      if (mayChangeTypes(sql, route.table.table, open)) this.#settled.delete(route);
    }
  }

  async #ask(route: Route, at: FilePosition): Promise<Route> {
    if (this.#source === null) {
      const names = route.open.map(({ name }) => name).join(', ');
      throw new RowcallError(
        'COLUMN_TYPE_UNPROVEN',
        `The binlog of MariaDB does not tell the type of ${names}, and there is no server to ask`,
        {
          place: `table ${route.table.name}`,
        },
      );
    }
    const types = await this.#source.typesOf(route.table, route.open, at);
    const settled = this.#router.settled(route, types);
    if (this.#settled.size >= MAX_SETTLED) this.#forgetOldest();
    this.#settled.set(route, { route: settled, since: at });
    return settled;
  }

  #forgetOldest(): void {
    for (const oldest of this.#settled.keys()) {
      this.#settled.delete(oldest);
      return;
    }
  }
}
