/** Who of a group's members is active: what each says of itself, and how the leader chooses. */

/** What a member tells the group each time it joins, as JSON in the user data of its subscription. */
export interface MemberClaim {
  /** Program, host and process id. */
  readonly client: string;
  /** The state store it delivers with; null where it has none. */
  readonly stateId: string | null;
  /** It was active until now, and has heard from the coordinator within the session. */
  readonly active: boolean;
  /** It takes the turn from whoever has it; stays true until it loses the turn itself. */
  readonly takeOver: boolean;
  /** When it was started, ms by its own clock: of two that take over the newer one is meant. */
  readonly startedAt: number;
}

export interface GroupCandidate {
  readonly memberId: string;
  /** Null where it could not be read: a program of another kind or version. */
  readonly claim: MemberClaim | null;
}

/** All members of a group agree on it; another version of the rules gets another name. */
export const ASSIGNER = 'rowcall-one-active';

export function encodeClaim(claim: MemberClaim): Buffer {
  return Buffer.from(JSON.stringify(claim));
}

/** Null for what is no claim of ours: whoever it is, it is not made active. */
export function decodeClaim(bytes: Buffer): MemberClaim | null {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const claim = value as Readonly<Record<string, unknown>>;
  // Versions before this field said nothing of it.
  const { client, stateId, active, takeOver, startedAt = 0 } = claim;
  const readable =
    typeof client === 'string' &&
    (stateId === null || typeof stateId === 'string') &&
    typeof active === 'boolean' &&
    typeof takeOver === 'boolean' &&
    typeof startedAt === 'number';
  return readable ? { client, stateId, active, takeOver, startedAt } : null;
}

/**
 * The member that is active from now on; null without one that can be. Who takes over comes first, the newest of them:
 * one that was frozen before the group heard of its own take-over wakes with that claim still open. Then who has the
 * turn already, so that a newcomer disturbs nobody; then the first by id, the same for whichever member leads.
 */
export function chooseActive(members: readonly GroupCandidate[]): string | null {
  const readable = members
    .flatMap(({ memberId, claim }) => (claim === null ? [] : [{ memberId, ...claim }]))
    .sort((a, b) => (a.memberId < b.memberId ? -1 : 1));
  const takers = readable
    .filter(({ takeOver, active }) => takeOver && !active)
    .sort((a, b) => b.startedAt - a.startedAt);
  const chosen = takers[0] ?? readable.find(({ active }) => active) ?? readable[0];
  return chosen?.memberId ?? null;
}
