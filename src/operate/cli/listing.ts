/** A page of a list as commands print it: a table with the way to the next page, or JSON. */

import type { CliIo } from './io.ts';
import { formatTable } from './table.ts';

export interface ListPage<T> {
  readonly items: readonly T[];
  /** What the next page begins after; null on the last one. */
  readonly next: number | string | null;
}

export interface Listing<T> {
  readonly json: boolean | undefined;
  /** Said where there is nothing. */
  readonly empty: string;
  readonly headings: readonly string[];
  readonly cells: (item: T) => readonly (string | number)[];
  /** As a program gets it; as it is when absent. */
  readonly item?: (item: T) => unknown;
  /** What shows the next page with `--after`. */
  readonly command: string;
}

/** A page of what a store gave in the order of ids: a full one may have another behind it. */
export function storedPage<T extends { readonly id: number }>(
  items: readonly T[],
  limit: number,
): ListPage<T> {
  return { items, next: items.length === limit ? (items.at(-1)?.id ?? null) : null };
}

export function printList<T>(io: CliIo, { items, next }: ListPage<T>, listing: Listing<T>): void {
  const { json, empty, headings, cells, item, command } = listing;
  if (json === true) {
    printJson(io, { items: item === undefined ? items : items.map(item), next });
    return;
  }
  io.out(items.length === 0 ? `${empty}\n` : formatTable(headings, items.map(cells)));
  if (next !== null) io.out(`More: rowcall ${command} --after ${next}\n`);
}

export function printJson(io: CliIo, value: unknown): void {
  io.out(`${JSON.stringify(value, null, 2)}\n`);
}

/** What somebody else wrote, as far as a line of a table has room for it. */
export function inCell(text: string | null): string {
  return (text ?? '').slice(0, 80);
}
