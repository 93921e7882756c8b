/** Whether a request is from who it says: signature, age and identity of a webhook. */

import {
  createHmac,
  createPublicKey,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
  verify,
} from 'node:crypto';

/** SubjectPublicKeyInfo of an Ed25519 key up to its bytes (RFC 8410, 4). */
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex');
/** A sender has at most ten secrets; more than this is somebody who wants us to compute. */
const MAX_SIGNATURES = 20;

export type RefusalCode =
  'HEADERS_MISSING' | 'TIMESTAMP_OUT_OF_TOLERANCE' | 'SIGNATURE_WRONG' | 'BATCH_INVALID';

/** A request that is not to be acted on. `status` is what to answer. */
export class WebhookRefused extends Error {
  readonly code: RefusalCode;
  readonly status: 400 | 401;

  constructor(code: RefusalCode, status: 400 | 401, message: string) {
    super(message);
    this.name = 'WebhookRefused';
    this.code = code;
    this.status = status;
  }
}

/** Of Node's http, Fastify or Express, or of the Web's Request; names in lower case where they are members. */
export type RequestHeaders =
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | { get(name: string): string | null };

/** A repeated header counts once: whichever of them was meant, a second one is not ours. */
export function headerOf(headers: RequestHeaders, name: string): string | undefined {
  if (typeof headers.get === 'function') return headers.get(name) ?? undefined;
  const value = (headers as Readonly<Record<string, unknown>>)[name];
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'string' ? first : undefined;
}

/**
 * Invariant: a signature is compared in a time that tells nothing of how much of it was right, and with all secrets,
 * whichever fits first.
 */
export class WebhookVerifier {
  readonly #shared: readonly KeyObject[];
  readonly #public: readonly KeyObject[];
  readonly #toleranceMs: number;

  /**
   * @param secrets `whsec_…` (v1) and `whpk_…` (v1a), at least one; several while one is replaced
   * @param toleranceMs how far the sender's time may be from ours
   * @throws TypeError for a secret that is none; it repeats nothing of it
   */
  constructor(secrets: readonly string[], toleranceMs = 300_000) {
    if (secrets.length === 0) throw new TypeError('At least one secret is needed');
    this.#shared = secrets.filter((one) => !one.startsWith('whpk_')).map(sharedKey);
    this.#public = secrets.filter((one) => one.startsWith('whpk_')).map(publicKey);
    this.#toleranceMs = toleranceMs;
  }

  /**
   * The verified `webhook-id`.
   *
   * @param body the bytes as they came: parsing and printing again would change them
   * @throws WebhookRefused
   */
  verify(headers: RequestHeaders, body: Uint8Array, nowMs: number): string {
    const id = headerOf(headers, 'webhook-id');
    const timestamp = headerOf(headers, 'webhook-timestamp');
    const signatures = headerOf(headers, 'webhook-signature');
    if (id === undefined || timestamp === undefined || signatures === undefined) {
      throw new WebhookRefused('HEADERS_MISSING', 400, 'This is no signed webhook');
    }
    const atMs = /^\d{1,12}$/.test(timestamp) ? Number(timestamp) * 1000 : Number.NaN;
    if (!(Math.abs(nowMs - atMs) <= this.#toleranceMs)) {
      const text = 'The time of the request is too far from ours; compare the clocks';
      throw new WebhookRefused('TIMESTAMP_OUT_OF_TOLERANCE', 401, text);
    }
    const message = Buffer.concat([Buffer.from(`${id}.${timestamp}.`, 'utf8'), body]);
    if (!this.#isSigned(message, signatures)) {
      throw new WebhookRefused('SIGNATURE_WRONG', 401, 'No signature is of one of our secrets');
    }
    return id;
  }

  #isSigned(message: Uint8Array, signatures: string): boolean {
    const expected = this.#shared.map((key) => createHmac('sha256', key).update(message).digest());
    let signed = false;
    for (const signature of signatures.split(' ', MAX_SIGNATURES)) {
      const [version, text = ''] = signature.split(',', 2);
      const given = Buffer.from(text, 'base64');
      if (version === 'v1') {
        for (const mac of expected) {
          const equal = given.length === mac.length && timingSafeEqual(given, mac);
          signed = equal || signed;
        }
      } else if (version === 'v1a') {
        for (const key of this.#public) signed = verify(null, message, key, given) || signed;
      }
    }
    return signed;
  }
}

function sharedKey(secret: string): KeyObject {
  const bytes = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  if (!secret.startsWith('whsec_') || bytes.length < 24) {
    throw new TypeError('A secret is whsec_ and base64 of 24 bytes or more, or a whpk_ key');
  }
  return createSecretKey(bytes);
}

function publicKey(secret: string): KeyObject {
  const bytes = Buffer.from(secret.slice('whpk_'.length), 'base64');
  if (bytes.length !== 32) throw new TypeError('A public key is whpk_ and base64 of 32 bytes');
  const key = Buffer.concat([SPKI_ED25519, bytes]);
  return createPublicKey({ key, format: 'der', type: 'spki' });
}
