/**
 * Debian packages unpacked into a folder of their own: nothing is installed, no root is needed, and
 * the machine's own package state is neither read for what is installed nor changed.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { builtOnce } from './built-once.ts';
import { runCommand } from './command.ts';
import { ServiceError } from './service-error.ts';

export interface AptRequest {
  /** Folder of the cache for this set; its `root` holds the unpacked packages. */
  readonly folder: string;
  /** For progress and errors: "MySQL". */
  readonly title: string;
  /** Package names; `{name}-{version}` is taken where the plain name is missing (Ubuntu's habit). */
  readonly packages: readonly string[];
  /** Paths under the root that are never needed, removed after unpacking. */
  readonly drop: readonly string[];
  /** Of Debian, where its stable suite has not what is wanted: `sid`. Ubuntu's is the machine's own. */
  readonly debianSuite: string;
  /** What else there is to do where the packages are not to be had. */
  readonly otherWays: string;
  readonly progress: (line: string) => void;
}

interface Mirror {
  readonly uri: string;
  readonly suite: string;
  readonly components: string;
  readonly signedBy: string | undefined;
}

const SOURCES = '/etc/apt';

/** The root folder with everything unpacked, downloaded once and then taken from the cache. */
export async function unpackedPackages(request: AptRequest): Promise<string> {
  const onWait = (): void => {
    request.progress(`${request.title}: another run is downloading it, waiting`);
  };
  return builtOnce({ folder: request.folder, name: 'root', onWait }, (work) => fill(request, work));
}

async function fill(request: AptRequest, work: string): Promise<string> {
  const mirror = await ownMirror(request);
  const apt = await privateApt(work, mirror, request);
  request.progress(`${request.title}: reading the package lists of suite ${mirror.suite}`);
  await apt(['apt-get', 'update', '-q']);
  const names = await Promise.all(
    request.packages.map((name) => packageName(apt, name, request.otherWays)),
  );
  await download(request, apt, names);
  const unpacked = join(work, 'root');
  await unpack(request, join(work, 'cache', 'archives'), unpacked);
  return unpacked;
}

type Apt = (
  command: readonly [string, ...string[]],
  onLine?: (line: string) => void,
) => Promise<string>;

/** apt with lists, cache and status of its own; proxies and certificates stay the machine's. */
async function privateApt(work: string, mirror: Mirror, { otherWays }: AptRequest): Promise<Apt> {
  for (const folder of ['lists/partial', 'cache/archives/partial', 'state']) {
    await mkdir(join(work, folder), { recursive: true });
  }
  const options = mirror.signedBy === undefined ? '' : `[signed-by=${mirror.signedBy}] `;
  await writeFile(
    join(work, 'sources.list'),
    `deb ${options}${mirror.uri} ${mirror.suite} ${mirror.components}\n`,
  );
  await writeFile(join(work, 'state', 'status'), '');
  const settings = [
    `Dir::Etc::sourcelist=${work}/sources.list`,
    'Dir::Etc::sourceparts=/dev/null',
    'Dir::Etc::preferencesparts=/dev/null',
    `Dir::State=${work}/state`,
    `Dir::State::Lists=${work}/lists`,
    `Dir::State::status=${work}/state/status`,
    `Dir::Cache=${work}/cache`,
    'APT::Install-Recommends=false',
    'APT::Sandbox::User=root',
    'Debug::NoLocking=true',
    'Acquire::Retries=3',
    'Acquire::Languages=none',
  ].flatMap((setting) => ['-o', setting]);
  return async ([program, ...args], onLine) => {
    const result = await runCommand(program, [...settings, ...args], {
      ...(onLine === undefined ? {} : { onLine }),
      env: { DEBIAN_FRONTEND: 'noninteractive' },
    });
    if (result.code !== 0) {
      throw new ServiceError(
        `${program} ${args.join(' ')} ended with ${result.code}: ${result.stderr.trim()}`,
        `Check that the Debian mirror can be reached. ${otherWays}`,
      );
    }
    return result.stdout;
  };
}

async function packageName(apt: Apt, name: string, otherWays: string): Promise<string> {
  const known = (await apt(['apt-cache', 'pkgnames', name])).split('\n');
  if (known.includes(name)) return name;
  const versioned = known.filter((other) => /^-\d+(\.\d+)*$/.test(other.slice(name.length))).sort();
  const newest = versioned.at(-1);
  if (newest !== undefined) return newest;
  throw new ServiceError(`This machine's package mirror has no ${name}.`, otherWays);
}

async function download(request: AptRequest, apt: Apt, names: readonly string[]): Promise<void> {
  let count = 0;
  let size = '';
  await apt(['apt-get', 'install', '-q', '-y', '--download-only', ...names], (line) => {
    const need = /^Need to get (.+?) of archives/.exec(line);
    if (need !== null) size = ` of ${need[1] ?? ''} in all`;
    if (!line.startsWith('Get:')) return;
    count += 1;
    if (count % 5 === 1) request.progress(`${request.title}: downloading package ${count}${size}`);
  });
}

async function unpack(request: AptRequest, archives: string, root: string): Promise<void> {
  await mkdir(root, { recursive: true });
  const files = (await readdir(archives)).filter((name) => name.endsWith('.deb'));
  for (const [index, file] of files.entries()) {
    if (index % 10 === 0) {
      request.progress(`${request.title}: unpacking package ${index + 1} of ${files.length}`);
    }
    const result = await runCommand('dpkg-deb', ['-x', join(archives, file), root]);
    if (result.code !== 0) {
      throw new ServiceError(
        `${basename(file)} could not be unpacked: ${result.stderr.trim()}`,
        `Check the space on the disk of ${root}. ${request.otherWays}`,
      );
    }
  }
  for (const path of request.drop) await rm(join(root, path), { recursive: true, force: true });
}

/** The mirror this machine itself uses, so that a company's or a country's own mirror is respected. */
async function ownMirror({ title, debianSuite, otherWays }: AptRequest): Promise<Mirror> {
  const release = await osRelease();
  const apt = await runCommand('apt-get', ['--version']);
  const dpkg = await runCommand('dpkg-deb', ['--version']);
  if ((release.id !== 'debian' && release.id !== 'ubuntu') || apt.code !== 0 || dpkg.code !== 0) {
    throw new ServiceError(
      `No ${title} server at hand: none was given, no Docker engine answers, and this machine is not a Debian or Ubuntu whose packages could be unpacked.`,
      otherWays,
    );
  }
  const entries = await sourceEntries();
  const own = entries.find((entry) => entry.suites.includes(release.codename)) ?? entries[0];
  if (own === undefined) {
    throw new ServiceError(`No package mirror is configured under ${SOURCES}.`, otherWays);
  }
  const isDebian = release.id === 'debian';
  return {
    uri: own.uri,
    suite: isDebian ? debianSuite : release.codename,
    components: isDebian ? 'main' : 'main universe',
    signedBy: own.signedBy,
  };
}

async function osRelease(): Promise<{ id: string; codename: string }> {
  const text = existsSync('/etc/os-release') ? await readFile('/etc/os-release', 'utf8') : '';
  const field = (name: string): string =>
    new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  return { id: field('ID'), codename: field('VERSION_CODENAME') };
}

interface SourceEntry {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly signedBy: string | undefined;
}

/** Both forms of sources.list(5): deb822 paragraphs and one-line entries. */
async function sourceEntries(): Promise<SourceEntry[]> {
  const entries: SourceEntry[] = [];
  const parts = join(SOURCES, 'sources.list.d');
  const names = existsSync(parts) ? (await readdir(parts)).sort() : [];
  for (const path of [...names.map((name) => join(parts, name)), join(SOURCES, 'sources.list')]) {
    if (!existsSync(path)) continue;
    if (path.endsWith('.sources')) entries.push(...parseDeb822(await readFile(path, 'utf8')));
    if (path.endsWith('.list')) entries.push(...parseOneLine(await readFile(path, 'utf8')));
  }
  return entries;
}

export function parseDeb822(text: string): SourceEntry[] {
  const paragraphs = text.replaceAll(/^#.*\n?/gm, '').split(/\n\s*\n/);
  return paragraphs.flatMap((paragraph) => {
    const field = (name: string): string =>
      new RegExp(`^${name}:[ \\t]*(.*)$`, 'im').exec(paragraph)?.[1]?.trim() ?? '';
    const uri = field('URIs').split(/\s+/)[0] ?? '';
    const isOn = field('Enabled').toLowerCase() !== 'no';
    if (uri === '' || !isOn || !field('Types').split(/\s+/).includes('deb')) return [];
    return [
      { uri, suites: field('Suites').split(/\s+/), signedBy: keyringPath(field('Signed-By')) },
    ];
  });
}

export function parseOneLine(text: string): SourceEntry[] {
  return text.split('\n').flatMap((line) => {
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)/.exec(line.trim());
    const [, options = '', uri, suite] = match ?? [];
    if (uri === undefined || suite === undefined) return [];
    const signedBy = /(?:^|\s)signed-by=(\S+)/.exec(options)?.[1] ?? '';
    return [{ uri, suites: [suite], signedBy: keyringPath(signedBy) }];
  });
}

/** A key written out in the file itself is left to apt's trusted set; only a path can be passed on. */
function keyringPath(value: string): string | undefined {
  return value.startsWith('/') ? value : undefined;
}
