/** Signatures of Standard Webhooks: `v1` by a shared secret, `v1a` by a private key. */

import { createHmac, createPrivateKey, createSecretKey, type KeyObject, sign } from 'node:crypto';
import type { WebhookBody } from './standard-webhook.ts';

const SHARED_PREFIX = 'whsec_';
const PRIVATE_PREFIX = 'whsk_';
/** PKCS #8 of an Ed25519 key up to its seed (RFC 8410, 7). */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SEED_BYTES = 32;

/** A `whsec_` or `whsk_` secret as a key; made once, since a raw one costs six times as much at each signature. */
export function signingKey(secret: string): KeyObject {
  if (!secret.startsWith(PRIVATE_PREFIX)) {
    return createSecretKey(Buffer.from(secret.slice(SHARED_PREFIX.length), 'base64'));
  }
  // The public key stands behind the seed; it follows from it.
  const seed = Buffer.from(secret.slice(PRIVATE_PREFIX.length), 'base64').subarray(0, SEED_BYTES);
  return createPrivateKey({
    key: Buffer.concat([PKCS8_ED25519, seed]),
    format: 'der',
    type: 'pkcs8',
  });
}

/** One signature for each key, of `id.timestamp.body`. */
export function signatures(message: {
  readonly id: string;
  readonly timestamp: number;
  readonly body: WebhookBody;
  readonly keys: readonly KeyObject[];
}): string {
  const { id, timestamp, body, keys } = message;
  const prefix = `${id}.${timestamp}.`;
  return keys
    .map((key) =>
      key.type === 'secret' ? sharedSignature(key, prefix, body) : ownSignature(key, prefix, body),
    )
    .join(' ');
}

function sharedSignature(key: KeyObject, prefix: string, body: WebhookBody): string {
  const mac = createHmac('sha256', key).update(prefix);
  for (const piece of body) mac.update(piece);
  return `v1,${mac.digest('base64')}`;
}

/** Ed25519 reads its message twice, and so wants it in one piece. */
function ownSignature(key: KeyObject, prefix: string, body: WebhookBody): string {
  const message = Buffer.concat([Buffer.from(prefix, 'utf8'), ...body]);
  return `v1a,${sign(null, message, key).toString('base64')}`;
}
