/** Whether others can read on the way what the source sends. */

import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';

const VERIFIED: ReadonlySet<string> = new Set(['verify-ca', 'verify-identity']);

export async function checkLink({
  source,
  link,
}: Pick<Surroundings, 'source' | 'link'>): Promise<Finding[]> {
  if (link.isLocal) return [];
  const [row] = await source.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'");
  const cipher = row?.['Value'] ?? '';
  if (cipher === '') {
    return [
      finding(
        'off',
        'Rows, and what the password is proven with, can be read on the way.',
        'warning',
      ),
    ];
  }
  if (VERIFIED.has(link.tlsMode)) return [];
  const why =
    'The connection is encrypted, but whoever stands between us and the server can pose as it.';
  return [finding(`${link.tlsMode} (${cipher})`, why, 'note')];
}

function finding(value: string, why: string, severity: Finding['severity']): Finding {
  return {
    check: 'source.tls',
    value,
    want: 'verify-identity, or verify-ca',
    why,
    sql: '-- in the configuration: source: { tls: { mode: verify-identity, ca: ./ca.pem } }',
    severity,
  };
}
