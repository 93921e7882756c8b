/** Plain tables for a terminal. */

/** Columns as wide as their widest cell; numbers to the right. */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const cells = rows.map((row) => row.map((cell) => String(cell)));
  const widths = headings.map((heading, column) =>
    cells.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), heading.length),
  );
  const numeric = headings.map((_, column) => rows.every((row) => typeof row[column] === 'number'));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return numeric[column] === true && rows.length > 0
          ? cell.padStart(width)
          : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [line(headings), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)]
    .map((text) => `${text}\n`)
    .join('');
}
