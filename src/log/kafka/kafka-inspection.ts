/** Looks at a cluster without touching it: topics, settings, groups. For preflight, doctor and status. */

import { type Admin, ConfigResourceTypes, type Group, type GroupMember } from '@platformatic/kafka';
import type { ActiveMember } from '../membership.ts';
import { type AdminOptions, makeAdminClient } from './admin-client.ts';
import { decodeClaim } from './group-assigner.ts';
import { toLogError } from './kafka-error.ts';

export type Settings = ReadonlyMap<string, string>;

export interface InspectedTopic {
  readonly name: string;
  readonly id: string;
  readonly partitions: number;
  /** Copies of its first partition; all have as many unless somebody moved some. */
  readonly replicas: number;
  readonly settings: Settings;
}

/**
 * Invariant: asks, and makes nothing: a topic that is not there is told as such, not made by the asking.
 */
export class KafkaInspection {
  readonly #admin: Admin;

  constructor(options: AdminOptions) {
    this.#admin = makeAdminClient(options);
  }

  /** Numbers of the brokers that are there. */
  async brokers(): Promise<readonly number[]> {
    const { brokers } = await this.#ask('The brokers cannot be asked', () =>
      this.#admin.metadata({ topics: [], forceUpdate: true }),
    );
    return [...brokers.keys()];
  }

  /** Those of `names` that there are. */
  async topics(names: readonly string[]): Promise<readonly InspectedTopic[]> {
    const wanted = new Set(names);
    const there = (
      await this.#ask('The topics cannot be listed', () => this.#admin.listTopics({}))
    ).filter((name) => wanted.has(name));
    if (there.length === 0) return [];
    const { topics } = await this.#ask('The topics cannot be described', () =>
      this.#admin.metadata({ topics: there, forceUpdate: true }),
    );
    const settings = await this.#settings(ConfigResourceTypes.TOPIC, there);
    return [...topics].map(([name, { id, partitions, partitionsCount }]) => ({
      name,
      id,
      partitions: partitionsCount,
      replicas: partitions[0]?.replicas.length ?? 0,
      settings: settings.get(name) ?? new Map(),
    }));
  }

  /** What is set on one broker. */
  async brokerSettings(broker: number): Promise<Settings> {
    const name = String(broker);
    const settings = await this.#settings(ConfigResourceTypes.BROKER, [name]);
    return settings.get(name) ?? new Map();
  }

  /** The member of a group of ours that has partition 0 of `topic`; null where nobody has. */
  async activeMember(groupId: string, topic: string): Promise<ActiveMember | null> {
    const groups = await this.#ask(`The group ${groupId} cannot be described`, () =>
      this.#admin.describeGroups({ groups: [groupId] }),
    );
    const group: Group | undefined = groups.get(groupId);
    const member = [...(group?.members.values() ?? [])].find(
      ({ assignments }) => assignments?.get(topic)?.partitions.includes(0) === true,
    );
    return member === undefined ? null : activeMemberOf(member);
  }

  close(): Promise<void> {
    return this.#admin.close();
  }

  async #settings(
    resourceType: typeof ConfigResourceTypes.TOPIC | typeof ConfigResourceTypes.BROKER,
    names: readonly string[],
  ): Promise<ReadonlyMap<string, Settings>> {
    const resources = names.map((resourceName) => ({ resourceType, resourceName }));
    const described = await this.#ask('Settings cannot be read', () =>
      this.#admin.describeConfigs({ resources }),
    );
    return new Map(
      described.map(({ resourceName, configs }) => [
        resourceName,
        new Map(configs.map(({ name, value }) => [name, value ?? ''])),
      ]),
    );
  }

  async #ask<T>(failing: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw toLogError(error, failing, 'LOG_UNREACHABLE');
    }
  }
}

function activeMemberOf({ metadata, clientId, clientHost }: GroupMember): ActiveMember {
  const bytes = metadata?.metadata;
  const claim = bytes === undefined ? null : decodeClaim(Buffer.from(bytes));
  return {
    client: claim?.client ?? `${clientId} at ${clientHost}`,
    stateId: claim?.stateId ?? null,
    tookOver: claim?.takeOver ?? false,
  };
}
