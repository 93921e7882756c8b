/** Takes a dead process out of a group when the one that replaces it joins, which else waits for its session to end. */

import type { Admin } from '@platformatic/kafka';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';
import { type AdminOptions, makeAdminClient } from './admin-client.ts';
import { toLogError } from './kafka-error.ts';

/** A join is with the coordinator within this time, mostly. */
const LOOK_EVERY_MS = 50;

export interface DeadMembersOptions extends AdminOptions {
  readonly groupId: string;
  /**
   * What this process has alone of all that live, by a lock that it holds: a member that bears it and is not this
   * process is dead. Null where nothing proves it.
   */
  readonly instance: string | null;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The client id of a member. It bears the instance, since the brokers tell of it in every state of the group. */
export function memberClientId({
  client,
  instance,
}: Pick<DeadMembersOptions, 'client' | 'instance'>): string {
  return instance === null ? client : `${client}${bearing(instance)}`;
}

const bearing = (instance: string): string => `.${instance}`;

/**
 * Joins by `join`. The dead are told apart before it: whoever bears our instance then is not us. They are removed
 * only once somebody who lives is in the group, because a group that was empty waits for further members before
 * it begins. What fails here costs no more than the wait.
 *
 * @throws whatever `join` throws
 */
export async function joinWithoutTheDead(
  options: DeadMembersOptions,
  join: () => Promise<void>,
): Promise<void> {
  const { instance } = options;
  if (instance === null) return join();
  const admin = makeAdminClient(options);
  const dead = await unlessItFails(options, [], async () =>
    (await membersOf(admin, options)).filter(({ clientId }) =>
      clientId.endsWith(bearing(instance)),
    ),
  );
  const joined = new AbortController();
  const removing = unlessItFails(options, undefined, () =>
    remove(admin, { ids: dead.map(({ id }) => id), options, joined: joined.signal }),
  );
  try {
    await join();
  } finally {
    joined.abort();
    await removing;
    await unlessItFails(options, undefined, () => admin.close());
  }
}

interface Removal {
  readonly ids: readonly string[];
  readonly options: DeadMembersOptions;
  /** Whoever was dead is out of the group by then. */
  readonly joined: AbortSignal;
}

async function remove(admin: Admin, { ids, options, joined }: Removal): Promise<void> {
  const { groupId, clock, logger } = options;
  while (ids.length > 0 && !joined.aborted) {
    const members = await membersOf(admin, options);
    if (members.some(({ id }) => !ids.includes(id))) {
      const reason = 'killed, and replaced on its machine';
      const there = ids.filter((id) => members.some((member) => member.id === id));
      if (there.length === 0) return;
      await admin.removeMembersFromConsumerGroup({
        groupId,
        members: there.map((memberId) => ({ memberId, reason })),
      });
      logger.info({ group: groupId, members: there }, 'The process that was killed left its group');
      return;
    }
    await clock.sleep(LOOK_EVERY_MS);
  }
}

async function membersOf(
  admin: Admin,
  { groupId }: DeadMembersOptions,
): Promise<readonly { readonly id: string; readonly clientId: string }[]> {
  const groups = await admin.describeGroups({ groups: [groupId] });
  return [...(groups.get(groupId)?.members.values() ?? [])];
}

async function unlessItFails<T>(
  { groupId, logger }: DeadMembersOptions,
  otherwise: T,
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    const { message } = toLogError(error, 'A dead member stays until its session ends', 'INTERNAL');
    logger.debug({ group: groupId }, message);
    return otherwise;
  }
}
