import { inspect } from 'node:util';
import { AssignerProtocol, type Consumer, Kafka, type PartitionAssigner, logLevel } from 'kafkajs';
import { afterEach, describe, expect, it } from 'vitest';
import type { KafkaServer } from '../../services/kafka.ts';
import { parseConfig } from '../../src/config/load.ts';
import { ASSIGNER, encodeClaim } from '../../src/log/kafka/group-assigner.ts';
import { GroupMembership } from '../../src/log/kafka/group-membership.ts';
import type { GroupMembershipOptions } from '../../src/log/kafka/group-membership.ts';
import { KafkaInspection } from '../../src/log/kafka/kafka-inspection.ts';
import { makeCheckpointTopic } from '../../src/log/kafka/make-checkpoint-topic.ts';
import type { Standing } from '../../src/log/membership.ts';
import { type LogConnection, logConnection } from '../../src/log-connection.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { eventually } from '../support/eventually.ts';
import { kafkaBrokers, startOwnKafka, uniqueKafkaName } from '../support/kafka.ts';

const LONG = { timeoutMs: 60_000 };

interface Member {
  readonly told: Standing[];
  leave(): Promise<void>;
}

const members: Member[] = [];

afterEach(async () => {
  for (const member of members.splice(0)) await member.leave();
});

class Group {
  readonly name = uniqueKafkaName('group');
  readonly #connection: Pick<GroupMembershipOptions, 'brokers' | 'tls' | 'sasl'>;

  constructor(brokers: readonly string[], { tls, sasl }: Partial<LogConnection> = {}) {
    this.#connection = {
      brokers,
      ...(tls === undefined ? {} : { tls }),
      ...(sasl === undefined ? {} : { sasl }),
    };
  }

  get topic(): string {
    return `${this.name}.checkpoint`;
  }

  async makeTopic(): Promise<void> {
    const topics = { create: true, replicationFactor: 1, config: {} };
    await makeCheckpointTopic(
      {
        name: this.name,
        ...this.#connection,
        delivery: 'exactly-once',
        compression: 'none',
        topics,
        clock: systemClock,
        logger: silentLogger,
      },
      new AbortController().signal,
    );
  }

  join(client: string, more: Partial<GroupMembershipOptions> = {}): Member {
    const told: Standing[] = [];
    const stop = new AbortController();
    const done = this.#membership(client, more).run(stop.signal, (standing) => told.push(standing));
    const leave = async (): Promise<void> => {
      stop.abort(new Error('leave'));
      await done;
    };
    const member = { told, leave };
    members.push(member);
    return member;
  }

  /** What joining is refused with. */
  async refusal(client: string): Promise<unknown> {
    return this.#membership(client)
      .run(new AbortController().signal, () => undefined)
      .catch((error: unknown) => error);
  }

  #membership(client: string, more: Partial<GroupMembershipOptions> = {}): GroupMembership {
    return new GroupMembership({
      ...this.#connection,
      groupId: this.name,
      topic: this.topic,
      client,
      stateId: null,
      instance: null,
      takeOver: false,
      clock: systemClock,
      logger: silentLogger,
      ...more,
    });
  }

  /** Who has the turn, as the brokers tell it. */
  async active(): Promise<string | null> {
    const inspection = new KafkaInspection({ ...this.#connection, client: 'test' });
    try {
      return (await inspection.activeMember(this.name, this.topic))?.client ?? null;
    } finally {
      await inspection.close();
    }
  }
}

const isTold = (member: Member, standing: Standing): Promise<void> =>
  eventually(() => {
    expect(member.told.at(-1)).toEqual(standing);
  }, LONG);

const by = (client: string, more: object = {}): Standing => ({
  active: false,
  by: { client, stateId: null, tookOver: false, ...more },
});

describe('a group', () => {
  it('has one active member, who stays it when others come, and is followed when it leaves', async () => {
    const group = new Group(kafkaBrokers());
    await group.makeTopic();
    const first = group.join('first', { stateId: 'one' });
    await isTold(first, { active: true });
    const second = group.join('second');
    await isTold(second, by('first', { stateId: 'one' }));
    const third = group.join('third');
    await isTold(third, by('first', { stateId: 'one' }));
    expect(first.told).toEqual([{ active: true }]);
    expect(await group.active()).toBe('first');
    await first.leave();
    expect(first.told.at(-1)).toEqual({ active: false, by: null });
    await eventually(() => {
      const active = [second, third].filter(({ told }) => told.at(-1)?.active === true);
      expect(active).toHaveLength(1);
    }, LONG);
  });

  it('gives the turn to who takes over, once', async () => {
    const group = new Group(kafkaBrokers());
    await group.makeTopic();
    const first = group.join('first');
    await isTold(first, { active: true });
    const second = group.join('second', { takeOver: true });
    await isTold(second, { active: true });
    await isTold(first, by('second', { tookOver: true }));
    expect(await group.active()).toBe('second');
    const third = group.join('third');
    await isTold(third, by('second', { tookOver: true }));
    expect(second.told).toEqual([{ active: true }]);
  });

  it('is waited for until its topic is there', async () => {
    const group = new Group(kafkaBrokers());
    const early = group.join('early');
    expect(early.told).toEqual([]);
    await group.makeTopic();
    await isTold(early, { active: true });
  });

  it('is left at once by who never came in', async () => {
    const group = new Group(['127.0.0.1:1']);
    const lost = group.join('lost');
    await lost.leave();
    expect(lost.told).toEqual([]);
  });
});

describe('a member that was killed', () => {
  const DEAD_MS = 120_000;
  let dead: Consumer | undefined;

  afterEach(async () => {
    await dead?.disconnect();
  });

  /** Active, and silent from then on; the coordinator counts it in until DEAD_MS have passed. */
  async function joinAndDie(group: Group, clientId: string): Promise<void> {
    const claim = { client: clientId, stateId: null, active: true, takeOver: false, startedAt: 1 };
    const assigner: PartitionAssigner = () => ({
      name: ASSIGNER,
      version: 1,
      protocol: ({ topics }) => ({
        name: ASSIGNER,
        metadata: AssignerProtocol.MemberMetadata.encode({
          version: 1,
          topics,
          userData: encodeClaim(claim),
        }),
      }),
      assign: ({ members }) =>
        Promise.resolve(
          members.map(({ memberId }) => ({
            memberId,
            memberAssignment: AssignerProtocol.MemberAssignment.encode({
              version: 1,
              assignment: { [group.topic]: [0] },
              userData: Buffer.alloc(0),
            }),
          })),
        ),
    });
    const kafka = new Kafka({ clientId, brokers: [...kafkaBrokers()], logLevel: logLevel.NOTHING });
    dead = kafka.consumer({
      groupId: group.name,
      sessionTimeout: DEAD_MS,
      rebalanceTimeout: DEAD_MS,
      heartbeatInterval: DEAD_MS - 1,
      allowAutoTopicCreation: false,
      partitionAssigners: [assigner],
    });
    await dead.connect();
    await dead.subscribe({ topics: [group.topic] });
    await dead.run({ autoCommit: false, eachBatch: () => Promise.resolve() });
  }

  it('is out of the group as soon as the one that bears its instance joins', async () => {
    const group = new Group(kafkaBrokers());
    await group.makeTopic();
    // Node's one warning of kafkajs's timers is spent by a membership of ours, unseen.
    await new Group(kafkaBrokers()).join('other').leave();
    await joinAndDie(group, 'dead.one');
    expect(await group.active()).toBe('dead.one');
    const began = performance.now();
    const successor = group.join('successor', { instance: 'one' });
    await isTold(successor, { active: true });
    expect(performance.now() - began).toBeLessThan(DEAD_MS / 2);
  });
});

describe('a cluster with TLS and accounts', () => {
  /** As the configuration says it, files and all. */
  async function connect(kafka: KafkaServer, password: string): Promise<LogConnection> {
    const { log } = parseConfig(
      {
        name: 'shop',
        source: { socket: '/s', user: 'u' },
        tables: [{ match: 'a.*' }],
        log: {
          type: 'kafka',
          brokers: kafka.bootstrap,
          tls: { mode: 'verify-identity', ca: kafka.tls?.ca },
          sasl: { mechanism: 'scram-sha-512', username: kafka.sasl?.username, password },
        },
      },
      '/',
    );
    if (log.type !== 'kafka') throw new Error('not kafka');
    return logConnection(log);
  }

  it('is joined with certificate and password, and refuses another password', async () => {
    const kafka = await startOwnKafka({ tls: true, sasl: 'SCRAM-SHA-512' });
    const right = await connect(kafka, kafka.sasl?.password ?? '');
    const group = new Group(kafka.bootstrap, right);
    await group.makeTopic();
    const member = group.join('member');
    await isTold(member, { active: true });
    expect(await group.active()).toBe('member');

    const stranger = new Group(kafka.bootstrap, await connect(kafka, 'wrong-password-7'));
    const refusal = await stranger.refusal('stranger');
    expect(refusal).toMatchObject({ code: 'LOG_ACCESS_DENIED', exitCode: 3 });
    expect(inspect(refusal, { depth: 9 })).not.toContain('wrong-password-7');
    await expect(stranger.active()).rejects.toMatchObject({ code: 'LOG_ACCESS_DENIED' });
  });
});

describe('a broker that goes away and comes back', () => {
  it('costs the turn after ten seconds, and gives it back', async () => {
    const kafka = await startOwnKafka();
    const [broker] = kafka.brokers;
    const group = new Group(kafka.bootstrap);
    await group.makeTopic();
    const member = group.join('member');
    await isTold(member, { active: true });
    await broker?.kill();
    await isTold(member, { active: false, by: null });
    await broker?.start();
    await isTold(member, { active: true });
  });

  it('finds nobody in the group who left while it was away', async () => {
    const kafka = await startOwnKafka();
    const [broker] = kafka.brokers;
    const group = new Group(kafka.bootstrap);
    await group.makeTopic();
    const [one, other] = [group.join('one'), group.join('other')];
    await eventually(() => {
      expect([one.told, other.told].flat()).toContainEqual({ active: true });
    }, LONG);
    // In the middle of whatever they are about: beats, fetches, joining anew.
    await broker?.kill();
    await Promise.all([one.leave(), other.leave()]);
    await broker?.start();
    const next = group.join('next');
    await isTold(next, { active: true });
  });
});
