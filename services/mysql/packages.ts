/** MySQL from Debian's packages, unpacked into the user's cache and run from there. */
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OTHER_WAYS, unpackedPackages } from '../apt-packages.ts';
import { runCommand } from '../command.ts';
import { withFileLock } from '../file-lock.ts';
import { ServiceError } from '../service-error.ts';
import { packagesFolder } from './installed-tool.ts';
import { MysqldProcess } from './mysqld-process.ts';
import { ADMIN } from './mysql-server.ts';
import type { MysqlOptions, MysqlServer } from './mysql-server.ts';
import { MysqlPrograms } from './programs.ts';

/** Raised when what the template holds changes, so that old caches are not taken for new ones. */
const TEMPLATE_EDITION = 1;

const NOT_NEEDED = [
  'etc',
  'usr/share/doc',
  'usr/share/man',
  'usr/share/locale',
  'usr/share/lintian',
  'usr/share/perl',
  'usr/share/perl5',
];

export async function packagesMysql(options: MysqlOptions): Promise<MysqlServer> {
  const progress = options.progress ?? (() => undefined);
  const folder = packagesFolder();
  const root = await unpackedPackages({
    folder,
    title: 'MySQL',
    packages: ['mysql-server-core', 'mysql-client-core'],
    drop: NOT_NEEDED,
    progress,
  });
  const programs = new MysqlPrograms(root);
  const template = await templateData(programs, folder, progress);
  const server = await MysqldProcess.create(programs, options, async (dataDir) => {
    await cp(template, dataDir, { recursive: true });
    // Each copy makes a server_uuid of its own: GTIDs of two servers must never look alike.
    await rm(join(dataDir, 'auto.cnf'), { force: true });
  });
  const wanted = options.version;
  if (wanted !== undefined && !server.version.startsWith(wanted)) {
    await server.dispose();
    throw new ServiceError(
      `MySQL ${wanted} is needed, the packages at hand are ${server.version}.`,
      OTHER_WAYS,
    );
  }
  return server;
}

/** An initialised data folder to copy: initialising takes seconds, copying a fraction of one. */
async function templateData(
  programs: MysqlPrograms,
  folder: string,
  progress: (line: string) => void,
): Promise<string> {
  const template = join(folder, `template-${TEMPLATE_EDITION}`);
  if (existsSync(template)) return template;
  return withFileLock(join(folder, 'lock'), async () => {
    if (existsSync(template)) return template;
    progress('MySQL: initialising a data folder');
    // A name of its own: the mysqld of a killed run may still write to the folder of that run.
    const work = await mkdtemp(join(folder, 'work-'));
    const accounts = join(work, 'accounts.sql');
    await writeFile(accounts, ACCOUNTS);
    const result = await runCommand(programs.loader, [
      ...programs.program('usr/sbin/mysqld'),
      ...programs.serverPaths(),
      '--initialize-insecure',
      '--skip-log-bin',
      `--init-file=${accounts}`,
      `--datadir=${join(work, 'data')}`,
    ]);
    if (result.code !== 0) {
      throw new ServiceError(
        `mysqld --initialize-insecure ended with ${result.code}:\n${result.stderr.trim()}`,
        `Remove ${folder} to download it anew. ${OTHER_WAYS}`,
      );
    }
    await rm(join(work, 'data', 'auto.cnf'), { force: true });
    await rename(join(work, 'data'), template);
    await rm(work, { recursive: true, force: true });
    return template;
  });
}

/** One statement a line, as --init-file wants it. The server listens on 127.0.0.1 only. */
const ACCOUNTS = [
  `ALTER USER '${ADMIN.user}'@'localhost' IDENTIFIED BY '${ADMIN.password}';`,
  `CREATE USER '${ADMIN.user}'@'%' IDENTIFIED BY '${ADMIN.password}';`,
  `GRANT ALL ON *.* TO '${ADMIN.user}'@'%' WITH GRANT OPTION;`,
  '',
].join('\n');
