/** Starts the MySQL server that the integration and system projects share, and ends it after them. */
import { startMysql } from '../../services/mysql.ts';
import type { MysqlServer } from '../../services/mysql.ts';
import { ServiceError } from '../../services/service-error.ts';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Administrator's URL of the shared server. */
    mysqlUrl: string;
  }
}

/**
 * vitest loads this file once for each project that needs MySQL, so the server they share hangs on
 * the process: two of them would double the start and the memory. The last project ends it.
 */
const SHARED = Symbol.for('rowcall.test.mysql');
interface Shared {
  readonly server: Promise<MysqlServer>;
  users: number;
}
const holder = globalThis as { [SHARED]?: Shared | undefined };

const NO_TEST = /(?!)/;

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const shared = (holder[SHARED] ??= {
    server: startMysql({ progress: say, fast: true }),
    users: 0,
  });
  shared.users += 1;
  try {
    const server = await shared.server;
    project.provide('mysqlUrl', server.url);
  } catch (error) {
    if (!(error instanceof ServiceError) || isCi()) throw error;
    say(
      `\n${'!'.repeat(80)}\nSKIPPING the ${project.name} tests, they need MySQL.\n${error.message}`,
    );
    say(`${'!'.repeat(80)}\n`);
    project.config.testNamePattern = NO_TEST;
    return undefined;
  }
  return async () => {
    shared.users -= 1;
    if (shared.users > 0) return;
    holder[SHARED] = undefined;
    await (await shared.server).dispose();
  };
}

/** Where a machine judges, a test that did not run must not look like one that passed. */
function isCi(): boolean {
  const value = process.env['CI'];
  return value !== undefined && value !== '' && value !== 'false' && value !== '0';
}
