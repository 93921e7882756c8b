/** MySQL's own programs for a server that did not come with any. */
import { existsSync } from 'node:fs';
import { arch } from 'node:os';
import { delimiter, join } from 'node:path';
import { cacheFolder } from '../cache.ts';
import { ServiceError } from '../service-error.ts';
import type { MysqlTool, ToolCommand } from './mysql-server.ts';
import { MysqlPrograms } from './programs.ts';

const DEFAULT_PORT = '3306';

/** From the PATH, else from packages unpacked earlier. Throws ServiceError where neither has it. */
export function installedTool(name: MysqlTool, serverUrl: string): ToolCommand {
  const url = new URL(serverUrl);
  const account = [
    '--protocol=TCP',
    `--host=${url.hostname}`,
    `--port=${url.port === '' ? DEFAULT_PORT : url.port}`,
    `--user=${decodeURIComponent(url.username)}`,
    `--password=${decodeURIComponent(url.password)}`,
  ];
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found !== undefined) return { command: found, args: ['--no-defaults', ...account] };
  const root = packagesRoot();
  if (existsSync(root)) {
    const programs = new MysqlPrograms(root);
    const { command, args } = programs.tool(name, '--no-defaults');
    return { command, args: [...args, ...account] };
  }
  throw new ServiceError(
    `${name} is not installed, and a server that is given or in Docker does not bring it along.`,
    "Install MySQL's client programs.",
  );
}

/** Where packages.ts unpacks to. */
export function packagesFolder(): string {
  return join(cacheFolder(), `mysql-${arch()}`);
}

function packagesRoot(): string {
  return join(packagesFolder(), 'root');
}
