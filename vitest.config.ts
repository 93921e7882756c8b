import { defineConfig } from 'vitest/config';

/**
 * Six projects, from a second to minutes. `unit`, `contract`, `simulate` and `tidy` need no server;
 * `integration` and `system` take a real MySQL from test/support/mysql.setup.ts.
 */
const project = (
  name: string,
  options: { needsMysql?: boolean; timeout: number },
): {
  test: Record<string, unknown>;
} => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    pool: 'forks',
    testTimeout: options.timeout,
    hookTimeout: 180_000,
    ...(options.needsMysql === true ? { globalSetup: ['test/support/mysql.setup.ts'] } : {}),
  },
});

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      project('unit', { timeout: 30_000 }),
      project('tidy', { timeout: 60_000 }),
      project('contract', { timeout: 60_000 }),
      project('simulate', { timeout: 300_000 }),
      project('integration', { needsMysql: true, timeout: 120_000 }),
      project('system', { needsMysql: true, timeout: 300_000 }),
    ],
  },
});
