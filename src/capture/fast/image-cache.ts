/** The image writers at hand: made for tables that have many rows, and not for more than memory allows. */

import type { Route } from '../route/router.ts';
import { compileImage, type ImageWriter } from './compile-image.ts';

/** Row bytes of a table version after which a writer pays for its making. */
const WARM_BYTES = 64 * 1024;
/** Columns of all writers kept: each costs some kilobytes of code. */
const MAX_COLUMNS = 16_384;

export interface ImageCacheOptions {
  /** Default: 64 KiB; 0 makes every writer at once. */
  readonly warmBytes?: number | undefined;
  readonly maxColumns?: number | undefined;
}

/**
 * A route belongs to one table version (same bytes of its TABLE_MAP but for the id), so its writer never meets rows
 * of another. The one longest unused goes first, and comes back when its table has warmed up again.
 */
export class ImageCache {
  readonly #warmBytes: number;
  readonly #maxColumns: number;
  readonly #writers = new Map<Route, ImageWriter>();
  readonly #seen = new WeakMap<Route, number>();
  #columns = 0;
  #last: { readonly route: Route; readonly writer: ImageWriter } | null = null;

  constructor({ warmBytes, maxColumns }: ImageCacheOptions = {}) {
    this.#warmBytes = warmBytes ?? WARM_BYTES;
    this.#maxColumns = maxColumns ?? MAX_COLUMNS;
  }

  /**
   * The writer of a route that `bytes` more of rows came for; null while they are few.
   *
   * @throws RowcallError of a column that cannot be read: COLUMN_TYPE_UNSUPPORTED, CHARSET_UNSUPPORTED
   */
  writerOf(route: Route, bytes: number): ImageWriter | null {
    if (this.#last?.route === route) return this.#last.writer;
    let writer = this.#writers.get(route);
    if (writer === undefined) {
      const seen = (this.#seen.get(route) ?? 0) + bytes;
      this.#seen.set(route, seen);
      if (seen < this.#warmBytes) return null;
      writer = compileImage({ ...route, key: route.key ?? [] });
      this.#columns += route.table.columns.length;
    } else {
      this.#writers.delete(route);
    }
    this.#writers.set(route, writer);
    this.#last = { route, writer };
    this.#dropOldest();
    return writer;
  }

  get size(): number {
    return this.#writers.size;
  }

  #dropOldest(): void {
    for (const route of this.#writers.keys()) {
      if (this.#columns <= this.#maxColumns || this.#writers.size === 1) return;
      this.#writers.delete(route);
      this.#seen.delete(route);
      this.#columns -= route.table.columns.length;
    }
  }
}
