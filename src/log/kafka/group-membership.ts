/**
 * A consumer group that elects its one active member: kafkajs joins, beats and leaves; it never reads a record.
 * Whoever has partition 0 of the group's topic is the active one.
 */

import {
  AssignerProtocol,
  type Consumer,
  type ConsumerCrashEvent,
  type ConsumerGroupJoinEvent,
  Kafka,
  type LogEntry,
  type PartitionAssigner,
  logLevel,
} from 'kafkajs';
import { abortable, pause } from '../../shared/abort.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';
import type { ActiveMember, Membership, Standing } from '../membership.ts';
import {
  ASSIGNER,
  chooseActive,
  decodeClaim,
  encodeClaim,
  type MemberClaim,
} from './group-assigner.ts';
import { joinWithoutTheDead, memberClientId, type DeadMembersOptions } from './dead-members.ts';
import { MemberSockets } from './member-sockets.ts';
import { type KafkaLogOptions, CONNECT_TIMEOUT_MS, REQUEST_TIMEOUT_MS } from './kafka-options.ts';
import { isFinal, kafkajsError, silentFor, withItsReason } from './kafkajs-error.ts';
import { saslOf } from './kafkajs-sasl.ts';

/** A member that is silent for so long is out of the group: how soon a standby follows a killed process. */
export const SESSION_TIMEOUT_MS = 10_000;
/** How soon a standby follows a process that left. */
const HEARTBEAT_MS = 1_000;
/** For members to join again once the group changes. Who is frozen is waited for no longer than its session. */
const REBALANCE_TIMEOUT_MS = 15_000;
/** kafkajs beats between two fetches; with nothing to fetch it sleeps for so long. */
const IDLE_FETCH_MS = 250;
const WATCH_EVERY_MS = 1_000;
/** By kafkajs's name for the request. */
const HEARTBEAT_REQUEST = 'Heartbeat';
/** How long leaving may take. */
const LEAVE_MS = 2_000;
/**
 * A life of which nothing was heard for so long is over, whatever kafkajs does: before it tells of a crash it waits for
 * requests that may never be answered, as with brokers that stood still. Longer than a join and a request may take.
 */
const SILENT_MS = SESSION_TIMEOUT_MS + REBALANCE_TIMEOUT_MS + REQUEST_TIMEOUT_MS;
const RETRY_FIRST_MS = 250;
const RETRY_LAST_MS = 10_000;
/** The group settles within a join; asking a few times sees it settled. */
const DESCRIBE_TRIES = 20;
const DESCRIBE_WAIT_MS = 250;

export interface GroupMembershipOptions
  extends
    Pick<KafkaLogOptions, 'brokers' | 'tls' | 'sasl'>,
    Pick<DeadMembersOptions, 'groupId' | 'instance'> {
  /** A topic of one partition that is there, or will be. */
  readonly topic: string;
  /** Who this is, for the others: program, host and process id. */
  readonly client: string;
  /** The state store this process delivers with; null where it has none. */
  readonly stateId: string | null;
  readonly takeOver: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Invariant: `active` is told only while the coordinator counts us as the one: an assignment, and an answer to a
 * heartbeat within the session. A process that was frozen, or cut off, tells its loss before it works on.
 */
export class GroupMembership implements Membership {
  readonly #options: GroupMembershipOptions;
  #onStanding: (standing: Standing) => void = () => undefined;
  readonly #startedAt: number;
  #takeOver: boolean;
  /** The group gave us the partition. */
  #assigned = false;
  /** What was told last. */
  #active = false;
  #joining = true;
  /** This life has been a member at least once. */
  #wasIn = false;
  /** When the newest heartbeat that was answered was sent, or we joined. */
  #heardAt: number;
  /** Between the newest heartbeat and its answer, by the wall clock. */
  #answeredInMs = 0;

  constructor(options: GroupMembershipOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
    this.#takeOver = options.takeOver;
    this.#heardAt = options.clock.monotonic();
  }

  async run(signal: AbortSignal, onStanding: (standing: Standing) => void): Promise<void> {
    const { clock, logger, groupId } = this.#options;
    this.#onStanding = onStanding;
    silenceTimerWarning(clock);
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(2 * waitMs, RETRY_LAST_MS)) {
      try {
        await this.#belong(signal);
        return;
      } catch (failure) {
        if (signal.aborted) return;
        const error = await withItsReason(failure, this.#options);
        if (isFinal(error)) throw kafkajsError(error, groupId);
        const { message } = kafkajsError(error, groupId);
        const wasLost = this.#wasIn;
        if (wasLost) waitMs = RETRY_FIRST_MS;
        const what = wasLost
          ? 'The group was lost; it is joined again'
          : 'The group cannot be joined yet';
        logger.warn({ group: groupId, waitMs, reason: message }, what);
      }
      // A stop ends the wait; the next try then ends at once.
      await pause(clock, waitMs, signal);
    }
  }

  /** One life in the group, until the signal aborts. Rejects when kafkajs gives up. */
  async #belong(signal: AbortSignal): Promise<void> {
    this.#wasIn = false;
    const sockets = new MemberSockets();
    const consumer = this.#makeConsumer(sockets);
    const { silence, stopWatching } = this.#watch();
    const { ended, stopListening } = this.#listen(consumer, signal);
    // It may reject while we still wait for the steps before it: if those end well it is awaited next, else they tell why.
    ended.catch(() => undefined);
    try {
      await abortable(abortable(this.#join(consumer), signal), silence);
      await abortable(ended, silence);
    } finally {
      stopWatching();
      stopListening();
      this.#leave();
      await this.#disconnect(consumer);
      sockets.end();
    }
  }

  /** Without its brokers it takes many tries, and they throw a silent member out by themselves. */
  #disconnect(consumer: Consumer): Promise<void> {
    const { clock } = this.#options;
    return new Promise((resolve) => {
      const cancel = clock.timer(LEAVE_MS, resolve);
      const onEnd = (): void => {
        cancel();
        resolve();
      };
      // How a farewell fails changes nothing: the connections are cut next.
      consumer.disconnect().then(onEnd, onEnd);
    });
  }

  /** Rejects for a topic that is not there: whoever captures first makes it. */
  async #join(consumer: Consumer): Promise<void> {
    await consumer.connect();
    await consumer.subscribe({ topics: [this.#options.topic] });
    await joinWithoutTheDead(this.#options, () =>
      consumer.run({ autoCommit: false, eachBatch: () => Promise.resolve() }),
    );
  }

  #makeConsumer(sockets: MemberSockets): Consumer {
    const { brokers, tls, sasl, groupId } = this.#options;
    const kafka = new Kafka({
      clientId: memberClientId(this.#options),
      brokers: [...brokers],
      ...(tls === undefined ? {} : { ssl: tls }),
      ...(sasl === undefined ? {} : { sasl: saslOf(sasl) }),
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      socketFactory: sockets.factory,
      logLevel: logLevel.WARN,
      logCreator: () => (entry) => {
        this.#log(entry);
      },
    });
    return kafka.consumer({
      groupId,
      sessionTimeout: SESSION_TIMEOUT_MS,
      rebalanceTimeout: REBALANCE_TIMEOUT_MS,
      heartbeatInterval: HEARTBEAT_MS,
      maxWaitTimeInMs: IDLE_FETCH_MS,
      allowAutoTopicCreation: false,
      retry: {
        initialRetryTime: RETRY_FIRST_MS,
        maxRetryTime: RETRY_LAST_MS,
        retries: 5,
        // A consumer that starts itself again cannot be stopped meanwhile: each life here is a consumer of its own.
        restartOnFailure: () => Promise.resolve(false),
      },
      partitionAssigners: [this.#assigner],
    });
  }

  /** Its warnings are about what it does next by itself: of use only to who looks for the cause of something. */
  #log({ namespace, log }: LogEntry): void {
    this.#options.logger.debug({ kafkajs: namespace, error: log['error'] as unknown }, log.message);
  }

  readonly #assigner: PartitionAssigner = () => ({
    name: ASSIGNER,
    version: 1,
    protocol: ({ topics }) => ({
      name: ASSIGNER,
      metadata: AssignerProtocol.MemberMetadata.encode({
        version: 1,
        topics,
        userData: encodeClaim(this.#claim()),
      }),
    }),
    assign: ({ members }) => {
      const candidates = members.map(({ memberId, memberMetadata }) => ({
        memberId,
        claim: claimOf(memberMetadata),
      }));
      const active = chooseActive(candidates);
      return Promise.resolve(
        members.map(({ memberId }) => ({
          memberId,
          memberAssignment: AssignerProtocol.MemberAssignment.encode({
            version: 1,
            assignment: memberId === active ? { [this.#options.topic]: [0] } : {},
            userData: Buffer.alloc(0),
          }),
        })),
      );
    },
  });

  #claim(): MemberClaim {
    const { client, stateId } = this.#options;
    // A frozen process wakes up in the middle of anything: what it was is judged by the clock alone.
    if (!this.#isFresh()) this.#lose();
    const startedAt = this.#startedAt;
    return { client, stateId, active: this.#active, takeOver: this.#takeOver, startedAt };
  }

  /** `ended` resolves when the signal aborts, and rejects when kafkajs gives up. */
  #listen(
    consumer: Consumer,
    signal: AbortSignal,
  ): { readonly ended: Promise<void>; readonly stopListening: () => void } {
    const { promise: ended, resolve, reject } = Promise.withResolvers<undefined>();
    const { GROUP_JOIN, REBALANCING, REQUEST, HEARTBEAT, CRASH } = consumer.events;
    const removers = [
      consumer.on(GROUP_JOIN, ({ payload }) => {
        // At once, before kafkajs fetches: nobody here wants the records.
        consumer.pause([{ topic: this.#options.topic }]);
        this.#joined(consumer, payload);
      }),
      consumer.on(REBALANCING, () => {
        this.#joining = true;
      }),
      consumer.on(REQUEST, ({ payload: { apiName, duration } }) => {
        if (apiName === HEARTBEAT_REQUEST) this.#answeredInMs = Math.max(0, duration);
      }),
      consumer.on(HEARTBEAT, () => {
        this.#heard();
      }),
      consumer.on(CRASH, ({ payload }: ConsumerCrashEvent) => {
        this.#leave();
        reject(payload.error);
      }),
    ];
    const onAbort = (): void => {
      resolve(undefined);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    const stopListening = (): void => {
      signal.removeEventListener('abort', onAbort);
      // Its last words are about a life that is over.
      for (const remove of removers) remove();
    };
    return { ended, stopListening };
  }

  #heard(): void {
    // As of its sending: an answer that lay about while we were frozen, or while the coordinator was and another
    // took its place, says nothing of now.
    const sentAt = this.#options.clock.monotonic() - this.#answeredInMs;
    this.#heardAt = Math.max(this.#heardAt, sentAt);
    // The coordinator still counts us in: the silence was shorter for it than for us.
    if (this.#assigned && this.#isFresh()) this.#win();
  }

  #joined(consumer: Consumer, { memberAssignment }: ConsumerGroupJoinEvent['payload']): void {
    this.#joining = false;
    this.#wasIn = true;
    this.#heardAt = this.#options.clock.monotonic();
    this.#assigned = (memberAssignment[this.#options.topic] ?? []).includes(0);
    if (this.#assigned) {
      this.#win();
      return;
    }
    this.#lose();
    this.#tellWhoIsActive(consumer).catch((error: unknown) => {
      const { message } = kafkajsError(error, this.#options.groupId);
      this.#options.logger.debug({ reason: message }, 'The group could not be described');
    });
  }

  /** Waits for the group to settle, since the others join at the same time as we do. */
  async #tellWhoIsActive(consumer: Consumer): Promise<void> {
    const { clock } = this.#options;
    for (let tries = 0; tries < DESCRIBE_TRIES && !this.#assigned; tries += 1) {
      const by = await this.#describeActive(consumer);
      if (by !== null) {
        // Asking took a while: the turn may have become ours.
        if (!this.#isAssigned()) this.#onStanding({ active: false, by });
        return;
      }
      await clock.sleep(DESCRIBE_WAIT_MS);
    }
  }

  #isAssigned(): boolean {
    return this.#assigned;
  }

  async #describeActive(consumer: Consumer): Promise<ActiveMember | null> {
    const { members, state } = await consumer.describeGroup();
    if (state !== 'Stable') return null;
    const found = members.find(({ memberAssignment }) => {
      const decoded = AssignerProtocol.MemberAssignment.decode(memberAssignment);
      return (decoded?.assignment[this.#options.topic] ?? []).includes(0);
    });
    if (found === undefined) return null;
    const claim = claimOf(found.memberMetadata);
    const client = claim?.client ?? `${found.clientId} at ${found.clientHost}`;
    return { client, stateId: claim?.stateId ?? null, tookOver: claim?.takeOver ?? false };
  }

  #win(): void {
    if (this.#active) return;
    this.#active = true;
    this.#onStanding({ active: true });
  }

  /** Whatever heartbeat is still answered counts for nothing. */
  #leave(): void {
    this.#assigned = false;
    this.#joining = true;
    this.#lose();
  }

  #lose(): void {
    if (!this.#active) return;
    this.#active = false;
    this.#takeOver = false;
    this.#onStanding({ active: false, by: null });
  }

  /** Who waits for the others to join beats not, and is not thrown out for it. */
  #isFresh(): boolean {
    const limitMs = SESSION_TIMEOUT_MS + (this.#joining ? REBALANCE_TIMEOUT_MS : 0);
    return this.#options.clock.monotonic() - this.#heardAt <= limitMs;
  }

  /** Tells the loss when the coordinator has been silent for longer than it waits for us; aborts `silence` in the end. */
  #watch(): { readonly silence: AbortSignal; readonly stopWatching: () => void } {
    const { clock } = this.#options;
    const began = clock.monotonic();
    const silence = new AbortController();
    let cancel: () => void;
    const look = (): void => {
      if (!this.#isFresh()) this.#lose();
      if (clock.monotonic() - Math.max(began, this.#heardAt) > SILENT_MS) {
        this.#leave();
        silence.abort(silentFor(SILENT_MS));
      }
      cancel = clock.timer(WATCH_EVERY_MS, look);
    };
    cancel = clock.timer(WATCH_EVERY_MS, look);
    const stopWatching = (): void => {
      cancel();
    };
    return { silence: silence.signal, stopWatching };
  }
}

function claimOf(metadata: Buffer): MemberClaim | null {
  const decoded = AssignerProtocol.MemberMetadata.decode(metadata);
  return decoded === null ? null : decodeClaim(decoded.userData);
}

/**
 * kafkajs sets timers of negative length, which are harmless, and of which Node warns once per process on the
 * user's terminal. That one warning is spent here, unseen.
 */
function silenceTimerWarning(clock: Clock): void {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = () => undefined;
  try {
    clock.timer(-1, () => undefined)();
  } finally {
    process.emitWarning = emitWarning;
  }
}
