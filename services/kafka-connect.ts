/** Kafka Connect with Debezium's connector for MySQL: the peer that the benchmark measures Rowcall beside. */
import { ConnectWorker } from './kafka-connect/worker.ts';
import type { WorkerOptions } from './kafka-connect/worker.ts';
import { workerJars } from './kafka-connect/worker-jars.ts';

export type { ConnectWorker, Connector } from './kafka-connect/worker.ts';
export { DEBEZIUM_VERSION } from './kafka-connect/worker-jars.ts';

/**
 * A worker that answers, in standalone mode, from the cache or from Maven; it ends with this process at
 * the latest. Throws ServiceError, with what to do, where none is to be had.
 */
export async function startKafkaConnect(
  options: WorkerOptions & { readonly progress?: (line: string) => void },
): Promise<ConnectWorker> {
  const jars = await workerJars(options.progress ?? (() => undefined));
  return ConnectWorker.start(jars, options);
}
