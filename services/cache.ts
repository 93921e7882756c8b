/** Where downloaded servers are kept between runs. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `$XDG_CACHE_HOME/rowcall`, else `~/.cache/rowcall` (XDG Base Directory Specification). */
export function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(base !== undefined && base !== '' ? base : join(homedir(), '.cache'), 'rowcall');
}
