/** The `tls` section, the same wherever Rowcall makes a connection of its own. */

import { z } from 'zod';
import { path } from '../scalars.ts';

const TLS_MODES = ['off', 'required', 'verify-ca', 'verify-identity'] as const;

export const tlsSchema = z.strictObject({
  mode: z
    .enum(TLS_MODES)
    .optional()
    .describe(
      'off | required (encrypted, any certificate) | verify-ca | verify-identity. Default: off over a socket or to this machine, else required.',
    ),
  ca: path('./ca.pem')
    .optional()
    .describe("PEM file of the authority that signed the server's certificate."),
  cert: path('./client.pem').optional().describe('PEM file of our own certificate; needs key.'),
  key: path('./client-key.pem')
    .optional()
    .describe('PEM file of the key of our own certificate; needs cert.'),
});

/** @param hosts whom we connect to; null is a socket of this machine */
export function tlsOptions(
  tls: z.output<typeof tlsSchema>,
  hosts: readonly (string | null)[],
): {
  mode: (typeof TLS_MODES)[number];
  ca: string | null;
  cert: string | null;
  key: string | null;
} {
  return {
    mode: tls.mode ?? (hosts.every(isLocal) ? 'off' : 'required'),
    ca: tls.ca ?? null,
    cert: tls.cert ?? null,
    key: tls.key ?? null,
  };
}

/** What stays on this machine needs no encryption; what leaves it is never in the clear unasked. */
function isLocal(host: string | null): boolean {
  return host === null || ['localhost', '::1'].includes(host) || /^127(?:\.\d+){3}$/.test(host);
}
