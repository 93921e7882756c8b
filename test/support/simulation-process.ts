/** One simulated process: its legs, over ports that fail and die with it. */
import { claimCheck, type ClaimStore } from '../../src/capture/append/claim-check.ts';
import type { Place } from '../../src/capture/append/place.ts';
import type { CallbackOptions } from '../../src/deliver/callback-options.ts';
import type { Sender } from '../../src/deliver/callback/sender.ts';
import { AsyncSender } from '../../src/deliver/completion/async-sender.ts';
import { AttemptsInFlight } from '../../src/deliver/completion/attempts-in-flight.ts';
import { CompletionDesk } from '../../src/deliver/completion/completion-desk.ts';
import { Deliver } from '../../src/deliver/deliver.ts';
import { RowcallError } from '../../src/errors.ts';
import type { ChangeLog, ChangeLogWriter } from '../../src/log/change-log.ts';
import { RetentionKeeper } from '../../src/log/retention-keeper.ts';
import type { Checkpoint } from '../../src/position.ts';
import type { Clock, Random } from '../../src/shared/clock.ts';
import { LargeWork } from '../../src/shared/large-work.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import type { Service } from '../../src/shared/service.ts';
import { supervise } from '../../src/shared/supervise.ts';
import type { AttemptKey } from '../../src/state/completion.ts';
import type { StateStore } from '../../src/state/state-store.ts';
import { BREAKER, RETRY } from './engine-options.ts';
import { type CaptureShape, SimulatedCapture } from './simulation-capture.ts';
import { type BatchBug, batchingSender } from './simulation-batches.ts';
import type { SimulatedCompletions } from './simulation-completions.ts';
import type { ClaimFiles } from './simulation-forms.ts';
import { CONFIG_NAME } from './simulation-expected.ts';
import type { History } from './simulation-history.ts';
import type { CallbackPlan, SimulationPlan } from './simulation-plan.ts';
import {
  faultyLog,
  faultyState,
  type PortParts,
  type SimulatedProcess,
} from './simulation-ports.ts';
import type { Receiver } from './simulation-receiver.ts';
import type { SimulatedResender } from './simulation-resender.ts';
import { SimulatedSender, SimulatedWire } from './simulation-wire.ts';

/** Wrong parts, to see that the simulation finds them. Each stands where the right one would. */
export interface PlantedBug extends BatchBug {
  readonly place?: (checkpoint: Checkpoint) => Place;
  readonly writer?: (
    writer: ChangeLogWriter,
    another: () => Promise<ChangeLogWriter>,
  ) => ChangeLogWriter;
  readonly log?: (log: ChangeLog) => ChangeLog;
  readonly state?: (state: StateStore) => StateStore;
  readonly claims?: (store: ClaimStore) => ClaimStore;
  readonly sender?: (sender: Sender) => Sender;
}

export interface Running extends SimulatedProcess {
  readonly legs: { readonly capture: boolean; readonly deliver: boolean };
  readonly stop: AbortController;
  /** Null until it is open. */
  log: ChangeLog | null;
  frozen: boolean;
  /** Another took its place: it is not started again. */
  replaced: boolean;
}

export interface ProcessParts {
  readonly ports: PortParts;
  readonly log: ChangeLog;
  readonly state: StateStore;
  readonly plan: SimulationPlan;
  readonly history: History;
  readonly claimFiles: ClaimFiles;
  /** By callback. */
  readonly receivers: ReadonlyMap<string, Receiver>;
  readonly completions: SimulatedCompletions;
  readonly resender: SimulatedResender;
  readonly bug: PlantedBug;
  readonly clock: Clock;
  readonly random: Random;
}

/** Ends when the process was told to stop; rejects with what ended one of its legs. */
export async function runLegs(process: Running, parts: ProcessParts): Promise<void> {
  const { ports, plan, history, bug, clock } = parts;
  const log = bugged(faultyLog(parts.log, ports), bug);
  const large = new LargeWork(clock);
  const services: Service[] = [];
  if (process.legs.deliver) services.push(await deliverLeg(log, large, parts));
  if (process.legs.capture) {
    const names = plan.callbacks.map(({ name }) => name);
    const consumers = (): Promise<readonly string[]> => Promise.resolve(names);
    services.unshift(new RetentionKeeper({ log, consumers, clock, logger: silentLogger }));
    const { faults, dice } = ports;
    const shape = {
      ...plan.capture,
      ...shapeOf(process, parts),
      ...(bug.place === undefined ? {} : { makePlace: bug.place }),
    };
    services.push(new SimulatedCapture({ history, shape, log, large, clock, faults, dice }));
  }
  await supervise(services, process.stop.signal, {
    clock,
    deadlineMs: 10_000,
    onDeadline: (names) => new RowcallError('SHUTDOWN_TIMEOUT', names.join(', ')),
  });
}

function shapeOf(
  process: Running,
  { plan, ports, claimFiles, bug }: ProcessParts,
): Pick<CaptureShape, 'format' | 'claimCheck'> {
  const { format, claimOverBytes } = plan.form;
  if (claimOverBytes === null) return { format, claimCheck: null };
  const store = claimFiles.storeOf(process, ports.faults);
  return { format, claimCheck: claimCheck(bug.claims?.(store) ?? store, claimOverBytes) };
}

async function deliverLeg(log: ChangeLog, large: LargeWork, parts: ProcessParts): Promise<Deliver> {
  const { ports, plan, bug, clock, random } = parts;
  const right = faultyState(parts.state, ports);
  const state = bug.state?.(right) ?? right;
  const key = await state.completionKey();
  const desk = new CompletionDesk({ state, clock, key, publicUrl: 'http://simulated' });
  parts.completions.opened(ports.owner, desk);
  const deliver = await Deliver.open({
    name: CONFIG_NAME,
    ...{ log, large, clock, random },
    state,
    desk,
    callbacks: plan.callbacks.map((callback) => optionsOf(callback, desk, parts)),
    logger: silentLogger,
    acceptLostState: false,
    drainTimeoutMs: 3_000,
  });
  parts.resender.opened(ports.owner, deliver);
  return deliver;
}

function bugged(right: ChangeLog, { writer: wrap, log: replace }: PlantedBug): ChangeLog {
  const log = replace?.(right) ?? right;
  if (wrap === undefined) return log;
  return {
    ...log,
    openWriter: async (name) => wrap(await log.openWriter(name), () => log.openWriter(name)),
  };
}

function optionsOf(
  plan: CallbackPlan,
  desk: CompletionDesk,
  { receivers, ports, bug, clock }: ProcessParts,
): CallbackOptions {
  const receiver = receivers.get(plan.name);
  if (receiver === undefined) throw new Error(`No receiver for ${plan.name}`);
  const wire = new SimulatedWire(receiver, plan.concurrency, ports);
  const sender =
    plan.batch === null
      ? new SimulatedSender(wire)
      : batchingSender(wire, plan.batch, { clock, bug });
  return {
    name: plan.name,
    tables: plan.tables,
    operations: plan.operations,
    changed: plan.changedName ? ['name'] : [],
    from: plan.from,
    coalesceMs: plan.coalesceMs === 0 ? undefined : plan.coalesceMs,
    concurrency: plan.concurrency,
    priority: (['high', 'normal', 'low'] as const)[Number(plan.name.at(-1)) % 3],
    retry: {
      ...RETRY,
      initialIntervalMs: 500,
      maximumIntervalMs: 4_000,
      jitter: 0.2,
      maximumAttempts: plan.receiver.maximumAttempts,
    },
    breaker: { ...BREAKER, ...plan.breaker },
    onExhausted: plan.onExhausted,
    fallback: plan.fallback,
    compensate: plan.compensate,
    lanes: plan.lanes,
    ...asynchronous(bug.sender?.(sender) ?? sender, plan, desk),
  };
}

function asynchronous(
  sender: Sender,
  { name, receiver }: CallbackPlan,
  desk: CompletionDesk,
): Pick<CallbackOptions, 'sender' | 'async'> {
  if (receiver.async === null) return { sender };
  const attempts = new AttemptsInFlight();
  const options = {
    callback: name,
    attempts,
    endingOf: (attempt: AttemptKey) => desk.endingOf(attempt),
    urlOf: (attempt: AttemptKey) => desk.urlOf(attempt),
    statusUrlOf: null,
  };
  const async = { ...receiver.async, attempts, poller: null };
  return { sender: new AsyncSender(sender, options), async };
}
