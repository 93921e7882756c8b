/** A log that no daemon has captured into yet, and the command that sets its place. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MysqlServer } from '../../../services/mysql.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { runCli } from '../../../src/operate/cli/cli.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import { silentLogger } from '../../../src/shared/logger.ts';
import { openLog } from '../../../src/stores.ts';
import { type CommandOutput, gather } from '../../support/cli.ts';
import { tempDir } from '../../support/temp-dir.ts';

export interface PositionScene {
  readonly file: string;
  /** `rowcall position …` of the scene's configuration. */
  position(...args: readonly string[]): Promise<CommandOutput>;
}

export async function positionScene(server: MysqlServer): Promise<PositionScene> {
  const folder = tempDir();
  const file = join(folder, 'rowcall.yaml');
  const lines = [
    'name: moved',
    `source: { url: '${server.url}', server_id: 4400002, start: latest }`,
    'tables: [{ match: shop.orders }]',
    `log: { type: embedded, path: ${join(folder, 'log')} }`,
    `state: { path: ${join(folder, 'state')} }`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const config = await loadConfig(file, {});
  const log = await openLog(config, { clock: systemClock, logger: silentLogger, create: true });
  await log.close();
  return {
    file,
    position: (...args) => gather((io) => runCli(['position', ...args, '-c', file], io)),
  };
}
