/** A Kafka cluster from Maven's packages, run from the user's cache. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import { ServiceError } from '../service-error.ts';
import { classArchive } from './class-archive.ts';
import { CREDENTIALS, SCRAM_MECHANISMS } from './kafka-server.ts';
import type { KafkaOptions, KafkaServer } from './kafka-server.ts';
import { builtOnce, checkJava, kafkaJars, OTHER_WAYS, packagesFolder } from './maven-packages.ts';
import { PackagesCluster } from './packages-cluster.ts';
import { kafkaUuid, META_FILE } from './data-folder.ts';
import { KafkaPrograms, loggingFile } from './program.ts';
import { loggingProperties, serverProperties } from './settings.ts';

/** Raised when what the template holds changes, so that old caches are not taken for new ones. */
const TEMPLATE_EDITION = 1;

export async function packagesKafka(options: KafkaOptions): Promise<KafkaServer> {
  const progress = options.progress ?? (() => undefined);
  const { programs, template } = await installedKafka(progress);
  const folder = await mkdtemp(join(tmpdir(), 'rowcall-kafka-'));
  return PackagesCluster.create({ programs, template, folder }, options);
}

export interface InstalledKafka {
  readonly programs: KafkaPrograms;
  /** Folder with what a formatted data folder holds and the logging files. */
  readonly template: string;
}

/** Kafka's programs on this machine, downloaded if need be. */
export async function installedKafka(progress: (line: string) => void): Promise<InstalledKafka> {
  const javaVersion = await checkJava();
  const libs = await kafkaJars(progress);
  const template = await builtOnce(`template-${TEMPLATE_EDITION}`, progress, async (work) => {
    progress('Kafka: formatting a data folder');
    return buildTemplate(libs, work);
  });
  const shared = await classArchive({ libs, template, javaVersion }, progress);
  return { programs: new KafkaPrograms({ libs, template }, () => shared), template };
}

/** A formatted data folder to copy: formatting takes seconds, copying none. */
async function buildTemplate(libs: string, work: string): Promise<string> {
  const template = join(work, 'template');
  await mkdir(template);
  await writeFile(join(template, loggingFile('broker')), loggingProperties('info'));
  await writeFile(join(template, loggingFile('tools')), loggingProperties('error'));
  const programs = new KafkaPrograms({ libs, template });
  const settings = join(work, 'server.properties');
  // Formatting binds none of them, they only have to differ.
  const ports = { client: 1, advertised: 1, internal: 2, controller: 3 };
  const hosts = { bind: '127.0.0.1', internal: '127.0.0.1', controller: '127.0.0.1' };
  await writeFile(
    settings,
    serverProperties({ id: 1, brokers: 1, ports, hosts, dataDir: template, tls: undefined }, {}),
  );
  const { username, password } = CREDENTIALS;
  const result = await runCommand('java', [
    ...programs.javaArguments(['-XX:TieredStopAtLevel=1']),
    'kafka.tools.StorageTool',
    'format',
    ...['--cluster-id', kafkaUuid()],
    ...['--config', settings],
    ...SCRAM_MECHANISMS.flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name=${username},password=${password}]`,
    ]),
  ]);
  if (result.code !== 0) {
    throw new ServiceError(
      `Kafka's StorageTool ended with ${result.code}:\n${result.stdout}${result.stderr}`.trimEnd(),
      `Remove ${packagesFolder()} to download it anew. ${OTHER_WAYS}`,
    );
  }
  // Each broker writes its own: it holds the ids of cluster, node and folder.
  await rm(join(template, META_FILE));
  return template;
}
