/** Signing secrets as they are written in a configuration. */

import { createPrivateKey, createPublicKey } from 'node:crypto';

const MAKE_SHARED = 'make one with: echo "whsec_$(openssl rand -base64 32)"';
/** PKCS #8 of an Ed25519 key up to its seed (RFC 8410, 7). */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** What is wrong with a signing secret, without a character of it; null for nothing. */
export function secretFault(text: string): string | null {
  if (text.startsWith('whsk_')) return privateKeyFault(text.slice('whsk_'.length));
  if (!text.startsWith('whsec_')) return `must begin with whsec_ (or whsk_); ${MAKE_SHARED}`;
  const encoded = text.slice('whsec_'.length);
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded) return `must be base64 after whsec_; ${MAKE_SHARED}`;
  if (bytes.length < 24 || bytes.length > 64) {
    return `must hold 24 to 64 bytes, not ${bytes.length}; ${MAKE_SHARED}`;
  }
  return null;
}

/** 64 bytes: the seed, and the public key, which follows from it and so tells a key that was mixed up. */
function privateKeyFault(encoded: string): string | null {
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded) return 'must be base64 after whsk_';
  if (bytes.length !== 64) {
    return `must hold 64 bytes after whsk_ (the ed25519 seed and its public key), not ${bytes.length}`;
  }
  const key = Buffer.concat([PKCS8_ED25519, bytes.subarray(0, 32)]);
  const own = createPublicKey(createPrivateKey({ key, format: 'der', type: 'pkcs8' }));
  const spki = own.export({ format: 'der', type: 'spki' });
  return spki.subarray(-32).equals(bytes.subarray(32))
    ? null
    : 'is no ed25519 key: its second half is not the public key of the first';
}
