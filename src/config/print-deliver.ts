/** A callback's `deliver` for a person: what is secret stands as `***`. */

import { formatDuration, formatSize } from './quantities.ts';
import type { DeliverConfig, HttpDeliverConfig, PollConfig } from './schema.ts';
import { MASK } from './secret.ts';
import { withoutNull } from './without-null.ts';

export function printDeliver(deliver: DeliverConfig): Record<string, unknown> {
  const timeout = formatDuration(deliver.timeoutMs);
  switch (deliver.type) {
    case 'handler':
      return { timeout };
    case 'module':
      return { module: deliver.path, thread: deliver.thread, timeout };
    case 'http':
      return withoutNull({
        url: maskQuery(deliver.url),
        method: deliver.method,
        headers: Object.fromEntries(Object.keys(deliver.headers).map((name) => [name, MASK])),
        timeout,
        format: deliver.format,
        secrets: deliver.secrets.length === 0 ? null : deliver.secrets.map(() => MASK),
        auth: printLogin(deliver.login),
        tls: deliver.tls === null ? null : withoutNull(deliver.tls),
        proxy: printProxy(deliver.proxy),
        handshake: printHandshake(deliver.handshake),
        allow_private_network: deliver.allowPrivateNetwork,
        max_body: formatSize(deliver.maxBodyBytes),
        async: printAsync(deliver.async),
      });
  }
}

/** Endpoints often take a token there. */
function maskQuery(text: string): string {
  const query = text.indexOf('?');
  return query < 0 ? text : `${text.slice(0, query)}?${MASK}`;
}

function printLogin(login: HttpDeliverConfig['login']): Record<string, unknown> | null {
  if (login === null) return null;
  return login.type === 'bearer'
    ? { type: login.type, token: MASK }
    : { type: login.type, user: login.user, password: MASK };
}

function printProxy(proxy: HttpDeliverConfig['proxy']): string | null {
  if (proxy === null) return null;
  if (proxy.password === null) return proxy.url;
  return proxy.url.replace('://', `://${encodeURIComponent(proxy.user)}:${MASK}@`);
}

function printAsync(written: HttpDeliverConfig['async']): Record<string, unknown> | null {
  if (written === null) return null;
  const { deadlineMs, heartbeatMs, completion } = written;
  return withoutNull({
    deadline: formatDuration(deadlineMs),
    heartbeat: heartbeatMs === null ? null : formatDuration(heartbeatMs),
    completion: completion === null ? null : printCompletion(completion),
  });
}

function printCompletion({ url, intervalMs, doneWhen, failedWhen }: PollConfig): object {
  return withoutNull({
    mode: 'poll',
    url,
    interval: formatDuration(intervalMs),
    done_when: doneWhen,
    failed_when: failedWhen,
  });
}

function printHandshake(handshake: HttpDeliverConfig['handshake']): Record<string, unknown> | null {
  if (handshake === null) return null;
  return withoutNull({ origin: handshake.origin, rate: handshake.ratePerMinute });
}
