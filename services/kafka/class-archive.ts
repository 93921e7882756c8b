/**
 * An archive of the classes that brokers and tools load, which Java maps instead of reading and
 * checking 54 jars at each start: it halves the work of a start (class data sharing, `java -Xshare`).
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import { ServiceError } from '../service-error.ts';
import { builtOnce, OTHER_WAYS, packagesFolder } from './maven-packages.ts';
import { PackagesCluster } from './packages-cluster.ts';
import { KafkaPrograms } from './program.ts';

/** Raised when other programs are run for it, so that old caches are not taken for new ones. */
const ARCHIVE_EDITION = 1;

/**
 * Arguments that make Java use the archive; built once for each version of Java, from what a broker and
 * tools load when they are run for it. One that does not fit is passed over by Java in silence.
 */
export async function classArchive(
  kafka: { readonly libs: string; readonly template: string; readonly javaVersion: string },
  progress: (line: string) => void,
): Promise<string[]> {
  const name = `classes-${ARCHIVE_EDITION}-java-${kafka.javaVersion}.jsa`;
  const archive = await builtOnce(name, progress, async (work) => {
    progress('Kafka: preparing quick starts');
    const lists = join(work, 'lists');
    await mkdir(lists);
    await recordClasses(kafka, work, lists);
    return dump(kafka, work, lists);
  });
  return [`-XX:SharedArchiveFile=${archive}`, '-Xlog:cds=off', '-Xlog:cds+dynamic=off'];
}

async function recordClasses(
  kafka: { readonly libs: string; readonly template: string },
  work: string,
  lists: string,
): Promise<void> {
  let count = 0;
  const programs = new KafkaPrograms(kafka, () => {
    count += 1;
    return [`-XX:DumpLoadedClassList=${join(lists, `${count}.list`)}`];
  });
  const folder = join(work, 'cluster');
  await mkdir(folder);
  await using cluster = await PackagesCluster.create(
    { programs, template: kafka.template, folder },
    { fast: true },
  );
  const topic = 'classes';
  await cluster.tools.topics(['--create', '--topic', topic]);
  await cluster.tools.produce(topic, [{ key: 'a', value: 'b' }]);
  await (await cluster.tools.consume({ topic, from: 'beginning', count: 1 })).rest();
  await cluster.stop();
}

async function dump(
  kafka: { readonly libs: string; readonly template: string },
  work: string,
  lists: string,
): Promise<string> {
  const names = new Set<string>();
  for (const file of await readdir(lists)) {
    for (const line of (await readFile(join(lists, file), 'utf8')).split('\n')) names.add(line);
  }
  const list = join(work, 'all.list');
  await writeFile(list, [...names].join('\n'));
  const archive = join(work, 'classes.jsa');
  const programs = new KafkaPrograms(kafka, () => [
    '-Xshare:dump',
    `-XX:SharedClassListFile=${list}`,
    `-XX:SharedArchiveFile=${archive}`,
    '-Xlog:cds=off',
  ]);
  const result = await runCommand('java', programs.javaArguments([]));
  if (result.code === 0) return archive;
  throw new ServiceError(
    `java -Xshare:dump ended with ${result.code}:\n${result.stdout.slice(-2_000)}${result.stderr}`.trimEnd(),
    `Remove ${packagesFolder()} to download it anew. ${OTHER_WAYS}`,
  );
}
