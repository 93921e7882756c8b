/** `rowcall run`, `connect` and `deliver`: the long-lived process. */

import { App, type Legs } from '../../app.ts';
import { loadConfig } from '../../config/load.ts';
import { toRowcallError } from '../../errors.ts';
import { systemClock, systemRandom } from '../../shared/clock.ts';
import { VERSION } from '../../version.ts';
import { createLogger } from '../observe/logger.ts';
import type { CliIo } from './io.ts';
import { Reloads } from './reload.ts';

const LEGS: Readonly<Record<'run' | 'connect' | 'deliver', Legs>> = {
  run: { capture: true, deliver: true },
  connect: { capture: true, deliver: false },
  deliver: { capture: false, deliver: true },
};

export async function runDaemon(
  command: 'run' | 'connect' | 'deliver',
  options: {
    readonly config: string;
    readonly acceptLostState?: boolean;
    readonly takeOver?: boolean;
  },
  io: CliIo,
): Promise<void> {
  const reloads = new Reloads(options.config, io);
  io.onHangUp?.(() => {
    reloads.ask();
  });
  const config = await loadConfig(options.config, io.env);
  const logger = createLogger({ level: config.logLevel, terminal: io.terminal });
  logger.info({ name: config.name, version: VERSION, pid: process.pid, command }, 'Starting');
  const app = new App(config, {
    clock: systemClock,
    random: systemRandom,
    logger,
    legs: LEGS[command],
    acceptLostState: options.acceptLostState === true,
    takeOver: options.takeOver === true,
    handlers: {},
  });
  reloads.begin(app, logger);
  const onStop = (): void => {
    const seconds = config.shutdownTimeoutMs / 1000;
    const text = `Stopping: what is in flight may end, at most ${seconds} s; a second signal leaves at once`;
    logger.info({ name: config.name }, text);
  };
  io.signal.addEventListener('abort', onStop, { once: true });
  try {
    await app.run(io.signal);
    logger.info({ name: config.name }, 'Stopped');
  } catch (error) {
    const failure = toRowcallError(error);
    logger.error({ err: failure, code: failure.code, place: failure.place }, 'Stopped by an error');
    throw failure;
  } finally {
    io.signal.removeEventListener('abort', onStop);
  }
}
