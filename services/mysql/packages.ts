/** MySQL from Debian's packages, unpacked into the user's cache and run from there. */
import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unpackedPackages } from '../apt-packages.ts';
import { builtOnce } from '../built-once.ts';
import { runCommand } from '../command.ts';
import { ServiceError } from '../service-error.ts';
import { addKeyring, keyringPrograms } from './keyring.ts';
import { packagesFolder } from './installed-tool.ts';
import { MysqldProcess } from './mysqld-process.ts';
import { ADMIN, MYSQL, otherWays } from './mysql-server.ts';
import type { MysqlOptions, MysqlServer } from './mysql-server.ts';
import { MysqlPrograms } from './programs.ts';

/** Raised when what the template holds changes, so that old caches are not taken for new ones. */
const TEMPLATE_EDITION = 1;

/** What a data folder is initialised with for good: a server that is started with another value refuses it. */
const INITIAL_OPTION = /^--lower[-_]case[-_]table[-_]names=\d$/;

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
    // Debian's stable suites carry no MySQL.
    debianSuite: 'sid',
    otherWays: otherWays(MYSQL),
    progress,
  });
  const programs = new MysqlPrograms(root);
  const initial = (options.args ?? []).filter((option) => INITIAL_OPTION.test(option));
  const template = await templateData(programs, { folder, initial }, progress);
  const encrypted = options.encrypted === true;
  const plan = {
    kind: MYSQL,
    programs: encrypted ? await keyringPrograms(root, folder, waiting(progress)) : programs,
    options,
  };
  return MysqldProcess.create(plan, async (dataDir) => {
    await cp(template, dataDir, { recursive: true });
    // Each copy makes a server_uuid of its own: GTIDs of two servers must never look alike.
    await rm(join(dataDir, 'auto.cnf'), { force: true });
    if (encrypted) await addKeyring(dataDir);
  });
}

function waiting(progress: (line: string) => void): () => void {
  return () => {
    progress('MySQL: another run is setting it up, waiting');
  };
}

/** An initialised data folder to copy: initialising takes seconds, copying a fraction of one. */
async function templateData(
  programs: MysqlPrograms,
  { folder, initial }: { readonly folder: string; readonly initial: readonly string[] },
  progress: (line: string) => void,
): Promise<string> {
  const onWait = waiting(progress);
  const name = [`template-${TEMPLATE_EDITION}`, ...initial].join('');
  return builtOnce({ folder, name, onWait }, async (work) => {
    progress('MySQL: initialising a data folder');
    const accounts = join(work, 'accounts.sql');
    const data = join(work, 'data');
    await writeFile(accounts, ACCOUNTS);
    const { command, args } = programs.server();
    const result = await runCommand(command, [
      ...args,
      '--initialize-insecure',
      ...initial,
      '--skip-log-bin',
      `--init-file=${accounts}`,
      `--datadir=${data}`,
    ]);
    if (result.code !== 0) {
      throw new ServiceError(
        `mysqld --initialize-insecure ended with ${result.code}:\n${result.stderr.trim()}`,
        `Remove ${folder} to download it anew. ${otherWays(MYSQL)}`,
      );
    }
    await rm(join(data, 'auto.cnf'), { force: true });
    return data;
  });
}

/** One statement a line, as --init-file wants it. The server listens on 127.0.0.1 only. */
const ACCOUNTS = [
  `ALTER USER '${ADMIN.user}'@'localhost' IDENTIFIED BY '${ADMIN.password}';`,
  `CREATE USER '${ADMIN.user}'@'%' IDENTIFIED BY '${ADMIN.password}';`,
  `GRANT ALL ON *.* TO '${ADMIN.user}'@'%' WITH GRANT OPTION;`,
  '',
].join('\n');
