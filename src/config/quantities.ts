/**
 * Durations and sizes as the YAML writes them. A number and one unit, nothing else: a bare number, a
 * sum, a fraction or a decimal unit has several readings, so it has none here.
 */

const MS_PER_UNIT = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const BYTES_PER_UNIT = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
} as const;

export const DURATION_PATTERN = /^(0|[1-9]\d*)(ms|s|m|h|d)$/;
export const SIZE_PATTERN = /^(0|[1-9]\d*)(B|KiB|MiB|GiB|TiB)$/;

/** `250ms`, `5s`, `10m`, `2h`, `7d` in milliseconds; null when the text is none or over 2^53. */
export function parseDuration(text: string): number | null {
  return parseQuantity(text, DURATION_PATTERN, MS_PER_UNIT);
}

/** `512B`, `64KiB`, `16MiB`, `2GiB`, `1TiB` in bytes; null when the text is none or over 2^53. */
export function parseSize(text: string): number | null {
  return parseQuantity(text, SIZE_PATTERN, BYTES_PER_UNIT);
}

/** The shortest text that `parseDuration` reads as `ms`, a whole number of milliseconds. */
export function formatDuration(ms: number): string {
  return formatQuantity(ms, MS_PER_UNIT, 'ms');
}

/** The shortest text that `parseSize` reads as `bytes`, a whole number of bytes. */
export function formatSize(bytes: number): string {
  return formatQuantity(bytes, BYTES_PER_UNIT, 'B');
}

function parseQuantity(
  text: string,
  pattern: RegExp,
  units: Readonly<Record<string, number>>,
): number | null {
  const [, digits, unit] = pattern.exec(text) ?? [];
  if (digits === undefined || unit === undefined) return null;
  const factor = units[unit];
  if (factor === undefined) return null;
  const value = Number(digits) * factor;
  return Number.isSafeInteger(value) ? value : null;
}

function formatQuantity(
  value: number,
  units: Readonly<Record<string, number>>,
  smallest: string,
): string {
  let best = `${value}${smallest}`;
  if (value === 0) return best;
  for (const [unit, factor] of Object.entries(units)) {
    if (value % factor === 0) best = `${value / factor}${unit}`;
  }
  return best;
}
