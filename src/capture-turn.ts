/** Capturing where several connectors may be started and one may capture. */

import type { Config } from './config/schema.ts';
import { RowcallError } from './errors.ts';
import { type ActiveMember, runInTurn } from './log/membership.ts';
import { AdminServer } from './operate/admin/server.ts';
import type { Clock } from './shared/clock.ts';
import { closeAfter } from './shared/close-after.ts';
import type { Logger } from './shared/logger.ts';
import type { Service } from './shared/service.ts';
import { supervise } from './shared/supervise.ts';
import { connectorMembership, lockLogForCapture, openLog } from './stores.ts';

/** How often a standby says in the log that it is one. */
const SAY_EVERY_MS = 300_000;

export interface CaptureTurnParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Begins at once: the connector that captures now is fenced. */
  readonly takeOver: boolean;
}

/**
 * Runs `work` while it is this process's turn to capture. Into a file a second process is refused, since the file
 * is on one machine; into Kafka it stands by, and goes on where the first one ended.
 *
 * @throws RowcallError LOG_UNUSABLE: another process captures into the file. USAGE: a file cannot be taken over.
 *   WRITER_FENCED: another connector took over
 */
export async function captureInTurn(
  config: Config,
  parts: CaptureTurnParts,
  work: (turn: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const membership = await connectorMembership(config, parts);
  if (membership === null) return captureAlone(config, parts.takeOver, () => work(signal));
  return runInTurn(
    {
      membership,
      startAtOnce: parts.takeOver,
      active: work,
      standby: (turn, by) => standBy(config, parts, { turn, by }),
      judge: (by, lost) => {
        if (lost && by.tookOver) return Promise.reject(tookOver(by));
        return Promise.resolve();
      },
    },
    signal,
  );
}

async function captureAlone(
  config: Config,
  takeOver: boolean,
  work: () => Promise<void>,
): Promise<void> {
  if (takeOver) {
    throw new RowcallError('USAGE', 'Only a log in Kafka can be taken over', {
      cure: 'Stop the other rowcall run or rowcall connect, then start without --take-over.',
    });
  }
  const lock = await lockLogForCapture(config);
  try {
    await work();
  } finally {
    lock.release();
  }
}

function tookOver(by: ActiveMember): RowcallError {
  const message = 'Another connector of this name took over';
  return new RowcallError('WRITER_FENCED', message, { place: by.client });
}

/** Serves health and metrics, and holds neither the source nor the state, so that nobody waits for them. */
async function standBy(
  config: Config,
  { clock, logger }: CaptureTurnParts,
  { turn, by }: { readonly turn: AbortSignal; readonly by: ActiveMember | null },
): Promise<void> {
  const standby = by === null ? 'the group decides who captures' : `${by.client} captures`;
  const log = await openLog(config, { clock, logger, create: true });
  await closeAfter(log, logger, () => {
    const admin = new AdminServer({
      ...config.admin.listen,
      config,
      state: null,
      clock,
      logger,
      log,
      capture: null,
      deliver: null,
      standby: () => `standby: ${standby}`,
    });
    const deadlineMs = config.shutdownTimeoutMs;
    const onDeadline = (): RowcallError =>
      new RowcallError('SHUTDOWN_TIMEOUT', 'Still standing by at the deadline');
    const services = by === null ? [admin] : [admin, sayNowAndThen(by, { clock, logger })];
    return supervise(services, turn, { clock, deadlineMs, onDeadline });
  });
}

function sayNowAndThen(
  { client }: ActiveMember,
  { clock, logger }: Pick<CaptureTurnParts, 'clock' | 'logger'>,
): Service {
  return {
    name: 'standby',
    run: async (signal) => {
      while (!signal.aborted) {
        logger.info({ active: client }, 'Standing by: another connector captures');
        await clock.sleep(SAY_EVERY_MS, signal);
      }
    },
  };
}
