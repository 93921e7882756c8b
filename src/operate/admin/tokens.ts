/** Who may ask what of the admin API. */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../config/secret.ts';

/** Each may what those before it may: look; change what runs; change what is configured. */
export const ROLES = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export interface AdminToken {
  readonly name: string;
  readonly role: Role;
  readonly token: Secret;
}

export interface Caller {
  readonly name: string;
  readonly role: Role;
  /** Tells tokens of one name apart, and tells nothing of them. */
  readonly id: string;
  /** A command of this machine, which bears the token of this run and says for whom it asks. */
  readonly local?: true;
}

/** Configured tokens have slugs for names: none is named so, nor as a user is (`cli:ann`). */
const THIS_RUN: Caller = { name: 'cli:', role: 'admin', id: '', local: true };

export function mayActAs(caller: Caller, role: Role): boolean {
  return ROLES.indexOf(caller.role) >= ROLES.indexOf(role);
}

/**
 * Invariant: how long a question takes does not depend on which token comes near the one presented, as hashes of one
 * length are compared, and all of them each time. Without that a token could be guessed byte by byte.
 */
export class Tokens {
  readonly #known: readonly { readonly caller: Caller; readonly digest: Buffer }[];

  /** Without any the API is closed, but for commands of this machine. */
  readonly isEmpty: boolean;

  /** @param ofThisRun run-token.ts */
  constructor(tokens: readonly AdminToken[], ofThisRun: string | null = null) {
    this.isEmpty = tokens.length === 0;
    const configured = tokens.map(({ name, role, token }) => {
      const digest = digestOf(token.reveal());
      return { caller: { name, role, id: digestOf(digest).toString('hex') }, digest };
    });
    const own = ofThisRun === null ? [] : [{ caller: THIS_RUN, digest: digestOf(ofThisRun) }];
    this.#known = [...configured, ...own];
  }

  /** @param authorization the header's value (RFC 6750) */
  find(authorization: string | undefined): Caller | null {
    const presented = /^bearer +([\u0021-\u007e]+) *$/i.exec(authorization ?? '')?.[1];
    const digest = digestOf(presented ?? '');
    let found: Caller | null = null;
    for (const known of this.#known) {
      if (timingSafeEqual(known.digest, digest)) found = known.caller;
    }
    return presented === undefined ? null : found;
  }
}

function digestOf(token: string | Buffer): Buffer {
  return createHash('sha256').update(token).digest();
}
