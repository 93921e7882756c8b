/** What goes with what in a callback's `deliver`. */

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { isPrivateHost } from '../shared/public-address.ts';
import type { OptionPath, Problem } from './problems.ts';
import { has, problem, section, type Section } from './written.ts';

/** What only a request over HTTP has. */
const HTTP_ONLY = [
  'method',
  'headers',
  'format',
  'secrets',
  'auth',
  'tls',
  'proxy',
  'handshake',
  'allow_private_network',
  'max_body',
  'async',
];

export interface DeliveryContext {
  /** Whether the callback's handler is given in code. */
  readonly handled: boolean;
  readonly baseDir: string;
  /** Whether the files that are named must be there. */
  readonly files: boolean;
}

export function checkDelivery(
  callback: Section,
  index: number,
  { handled, files, baseDir }: DeliveryContext,
): Problem[] {
  const path = ['callbacks', index, 'deliver'] as const;
  const deliver = section(callback['deliver']);
  const ways = ['url', 'module'].filter((key) => has(deliver, key));
  const found = checkWays(ways, handled, path);
  if (has(deliver, 'thread') && !has(deliver, 'module')) {
    found.push(problem([...path, 'thread'], 'belongs to module; remove it', 'key'));
  }
  if (has(deliver, 'url')) return [...found, ...checkTarget(deliver, path)];
  if (ways.length === 0 && !handled) return found;
  if (files) found.push(...checkModule(deliver['module'], path, baseDir));
  for (const key of HTTP_ONLY) {
    if (has(deliver, key)) found.push(problem([...path, key], 'belongs to url; remove it', 'key'));
  }
  return found;
}

/** One way to deliver, and one only. */
function checkWays(ways: readonly string[], handled: boolean, path: OptionPath): Problem[] {
  const found: Problem[] = [];
  if (handled) {
    for (const key of ways) {
      found.push(
        problem([...path, key], 'does not go with a handler given in code; remove it', 'key'),
      );
    }
  } else if (ways.length === 0) {
    found.push(
      problem(
        path,
        'says nowhere to deliver; write url: https://… or module: ./handlers/orders.js',
      ),
    );
  } else if (ways.length === 2) {
    found.push(problem([...path, 'module'], 'does not go with url; write one or the other', 'key'));
  }
  return found;
}

function checkModule(module: unknown, path: OptionPath, baseDir: string): Problem[] {
  if (typeof module !== 'string' || existsSync(resolve(baseDir, module))) return [];
  const text = `there is no such file: ${resolve(baseDir, module)}; correct the path, which begins in the folder of the configuration`;
  return [problem([...path, 'module'], text)];
}

function checkTarget(deliver: Section, path: OptionPath): Problem[] {
  const found: Problem[] = [];
  const { url } = deliver;
  if (
    !has(deliver, 'secrets') &&
    (deliver['format'] ?? 'standard-webhooks') === 'standard-webhooks'
  ) {
    found.push(
      problem(
        [...path, 'secrets'],
        'is required with url; write ["${SHOP_SECRET}"], and make one with: echo "whsec_$(openssl rand -base64 32)"',
      ),
    );
  }
  const target = typeof url === 'string' ? URL.parse(url) : null;
  const guarded = target !== null && deliver['allow_private_network'] !== true;
  if (guarded && target.protocol === 'http:') {
    found.push(
      problem([...path, 'url'], 'is plain http; write https, or add allow_private_network: true'),
    );
  }
  if (guarded && isPrivateHost(target.hostname)) {
    const text = `leads to ${target.hostname}, which is no public address; write another, or add allow_private_network: true`;
    found.push(problem([...path, 'url'], text));
  }
  return [
    ...found,
    ...checkHeaders(deliver, path),
    ...checkClientCertificate(section(deliver['tls']), [...path, 'tls']),
  ];
}

function checkHeaders(deliver: Section, path: OptionPath): Problem[] {
  const found: Problem[] = [];
  const names = Object.keys(section(deliver['headers']));
  names.forEach((name, index) => {
    const at = [...path, 'headers', name];
    const first = names.findIndex((other) => other.toLowerCase() === name.toLowerCase());
    if (first < index) found.push(problem(at, 'stands twice, in another case; keep one', 'key'));
    if (has(deliver, 'auth') && name.toLowerCase() === 'authorization') {
      found.push(problem(at, 'does not go with auth; keep one', 'key'));
    }
  });
  return found;
}

function checkClientCertificate(tls: Section, path: OptionPath): Problem[] {
  const [lonely, lacking] = has(tls, 'cert') ? ['cert', 'key'] : ['key', 'cert'];
  if (has(tls, 'cert') === has(tls, 'key')) return [];
  return [problem([...path, lonely], `needs ${lacking} as well`, 'key')];
}
