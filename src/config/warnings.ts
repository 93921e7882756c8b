/** What a configuration may say but hardly means: told at validate and at start, and lived with. */

import { formatDuration } from './quantities.ts';
import type { CallbackConfig, Config } from './schema.ts';

/** In-flight attempts may use this share of the shutdown deadline; saving and closing need the rest. */
const DRAIN_SHARE = 0.7;

/** How long attempts in flight may go on after a stop, milliseconds. */
export function drainTimeoutMs(config: Config): number {
  return Math.round(config.shutdownTimeoutMs * DRAIN_SHARE);
}

/** A sentence each, which begins with the option. */
export function configWarnings(config: Config): string[] {
  const drain = drainTimeoutMs(config);
  return config.callbacks.flatMap((callback, index) => [
    ...timeoutWarnings(callback, index, drain),
    ...proxyWarnings(callback, index),
  ]);
}

function timeoutWarnings(
  { name, deliver }: CallbackConfig,
  index: number,
  drain: number,
): string[] {
  if (deliver.timeoutMs <= drain) return [];
  const enough = formatDuration(Math.ceil(deliver.timeoutMs / DRAIN_SHARE / 1000) * 1000);
  return [
    `callbacks[${index}].deliver.timeout: ${name} may take ${formatDuration(deliver.timeoutMs)}, but a stop waits only ${formatDuration(drain)} for what is in flight ` +
      `(70 % of shutdown_timeout): what is cut off then comes again. Write shutdown_timeout: ${enough} or more, or a shorter timeout.`,
  ];
}

/** What the outgoing guard cannot see: where the proxy goes. */
function proxyWarnings({ name, deliver }: CallbackConfig, index: number): string[] {
  if (deliver.type !== 'http' || deliver.proxy === null || deliver.allowPrivateNetwork) return [];
  return [
    `callbacks[${index}].deliver.proxy: ${name} is called through a proxy, which resolves the name in url. Rowcall refuses plain http and a private address written there; ` +
      'that a name leads to a private address can only be refused by the proxy.',
  ];
}
