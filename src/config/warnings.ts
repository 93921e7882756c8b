/** What a configuration may say but hardly means: told at validate and at start, and lived with. */

import { formatDuration } from './quantities.ts';
import type { CallbackConfig, Config } from './schema.ts';
import { globCovers, globsMeet } from './table-globs.ts';

/** In-flight attempts may use this share of the shutdown deadline; saving and closing need the rest. */
const DRAIN_SHARE = 0.7;

/** How long attempts in flight may go on after a stop, milliseconds. */
export function drainTimeoutMs(config: Config): number {
  return Math.round(config.shutdownTimeoutMs * DRAIN_SHARE);
}

/** A sentence each, which begins with the option. */
export function configWarnings(config: Config): string[] {
  const drain = drainTimeoutMs(config);
  return [
    ...config.tables.flatMap((_, index) => ruleWarnings(config.tables, index)),
    ...claimCheckWarnings(config),
    ...config.callbacks.flatMap((callback, index) => [
      ...timeoutWarnings(callback, index, drain),
      ...proxyWarnings(callback, index),
    ]),
  ];
}

/** The first rule that matches a table holds: one that stands behind a wider one is never asked. */
function ruleWarnings(rules: Config['tables'], index: number): string[] {
  const own = rules[index]?.match.filter((glob) => !glob.startsWith('!')) ?? [];
  const taken = own.map((glob) => rules.slice(0, index).findIndex((rule) => takes(rule, glob)));
  const [first = -1] = taken;
  if (taken.includes(-1)) return [];
  return [
    `tables[${index}].match: the rule has no effect: tables[${first}] takes every table of ${own[0] ?? ''} before it, as the first rule that matches a table holds. Move this rule up, or remove it.`,
  ];
}

/** Whether the rule matches whatever the glob does; false where that cannot be told. */
function takes({ match }: Config['tables'][number], glob: string): boolean {
  const out = match.filter((one) => one.startsWith('!'));
  if (out.some((one) => globsMeet(one.slice(1), glob))) return false;
  return match.some((one) => !one.startsWith('!') && globCovers(one, glob));
}

/** Its path is of use all the same: values of before are read from there. */
function claimCheckWarnings({ log }: Config): string[] {
  if (log.oversize === 'claim-check' || log.claimCheck.overBytes === CLAIM_OVER_BYTES) return [];
  return [
    'log.claim_check.over: has no effect with oversize: stop, which is the default: a record over the limit of the log stops the capture. Write oversize: claim-check, or remove it.',
  ];
}

/** The default of log.claim_check.over. */
const CLAIM_OVER_BYTES = 900 * 1024;

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
