/** Starts the MySQL server that the integration and system projects share, and ends it after them. */
import { startMysql } from '../../services/mysql.ts';
import type { MysqlServer } from '../../services/mysql.ts';
import type { TestProject } from 'vitest/node';
import { orSkipProject, say } from './missing-server.ts';

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

export function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  return orSkipProject(project, 'MySQL', async () => {
    const shared = (holder[SHARED] ??= {
      server: startMysql({ progress: say, fast: true }),
      users: 0,
    });
    shared.users += 1;
    const server = await shared.server;
    project.provide('mysqlUrl', server.url);
    return async () => {
      shared.users -= 1;
      if (shared.users > 0) return;
      holder[SHARED] = undefined;
      await server.dispose();
    };
  });
}
