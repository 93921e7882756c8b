/** Options that are not set, left out where a configuration is printed. */

/** Absent options are left out, as in a file. */
export function withoutNull(section: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(section).filter(([, value]) => value !== null && value !== undefined),
  );
}
