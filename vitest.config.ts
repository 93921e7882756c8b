import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/**
 * Seven projects, from a second to minutes. `unit`, `contract`, `simulate` and `tidy` need no server;
 * `integration` and `system` take a real MySQL from test/support/mysql.setup.ts. Files of any folder
 * whose name ends with `.kafka.test.ts` are the project `kafka`: only a run of such files starts a broker.
 */
const KAFKA_TESTS = '.kafka.test.ts';
const MYSQL = 'test/support/mysql.setup.ts';
const KAFKA = 'test/support/kafka.setup.ts';

/**
 * Threads that tests start have their modules' types taken out once, not each time: that is done in WebAssembly, and
 * V8 aborts now and then where that comes and goes by the hundred (nodejs/node#64500). Only where no process that a
 * test starts has its memory measured: the cache takes 10 MiB of it.
 */
const COMPILE_CACHE = fileURLToPath(new URL('node_modules/.cache/compiled', import.meta.url));

interface Options {
  readonly timeout: number;
  readonly setup?: readonly string[];
  readonly include?: string;
  readonly exclude?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** The examples import the package by its name, as its users do; here they get its sources. */
const alias = {
  'rowcall/receiver': fileURLToPath(new URL('src/receiver/receiver.ts', import.meta.url)),
};

const project = (name: string, options: Options): object => ({
  resolve: { alias },
  test: {
    name,
    include: [options.include ?? `test/${name}/**/*.test.ts`],
    exclude: options.exclude ?? [`**/*${KAFKA_TESTS}`],
    pool: 'forks',
    env: options.env ?? {},
    testTimeout: options.timeout,
    hookTimeout: 180_000,
    globalSetup: options.setup ?? [],
  },
});

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      project('unit', { timeout: 30_000 }),
      project('tidy', { timeout: 60_000 }),
      project('contract', { timeout: 60_000, env: { NODE_COMPILE_CACHE: COMPILE_CACHE } }),
      project('simulate', { timeout: 300_000 }),
      project('integration', { setup: [MYSQL], timeout: 120_000 }),
      project('system', { setup: [MYSQL], timeout: 300_000 }),
      project('kafka', {
        setup: [MYSQL, KAFKA],
        timeout: 300_000,
        include: `test/**/*${KAFKA_TESTS}`,
        exclude: [],
      }),
    ],
  },
});
