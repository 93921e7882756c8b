/** Starts the Kafka broker that the tests of the kafka project share, and ends it after them. */
import { startKafka } from '../../services/kafka.ts';
import type { TestProject } from 'vitest/node';
import { orSkipProject, say } from './missing-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** `host:port` of each broker of the shared cluster, without TLS and login. */
    kafkaBrokers: readonly string[];
  }
}

export function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  return orSkipProject(project, 'Kafka', async () => {
    const server = await startKafka({ progress: say, fast: true });
    project.provide('kafkaBrokers', server.bootstrap);
    return () => server.dispose();
  });
}
