/** Kafka Connect and Debezium's connector for MySQL, as Maven gives them, in the cache beside Kafka's own jars. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import { builtOnce, KAFKA_VERSION } from '../kafka/maven-packages.ts';
import { ServiceError } from '../service-error.ts';

/** Newer ones are a change of this line, and of the figures. */
export const DEBEZIUM_VERSION = '3.6.1.Final';

/** 2.25 is of the line that binds slf4j 1.7, which Kafka speaks. */
const LOG4J_VERSION = '2.25.3';
const DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';
const CURE =
  'Install Java 17 or newer and Maven, and check that Maven can reach its repository; or measure without this peer.';

interface Artifact {
  readonly group: string;
  readonly name: string;
  readonly version: string;
}

const CONNECT: readonly Artifact[] = [
  { group: 'org.apache.kafka', name: 'connect-runtime', version: KAFKA_VERSION },
  { group: 'org.apache.logging.log4j', name: 'log4j-slf4j-impl', version: LOG4J_VERSION },
];
const DEBEZIUM: readonly Artifact[] = [
  { group: 'io.debezium', name: 'debezium-connector-mysql', version: DEBEZIUM_VERSION },
];

export interface WorkerJars {
  /** Class path of the worker. */
  readonly classPath: string;
  /** The worker's `plugin.path`: a folder with one folder for each plugin. */
  readonly plugins: string;
}

/** @throws ServiceError with what Maven said, where it cannot fetch them */
export async function workerJars(progress: (line: string) => void): Promise<WorkerJars> {
  const connect = await builtOnce('connect', progress, (work) => {
    progress(`Kafka Connect: downloading ${KAFKA_VERSION} with Maven (33 MB)`);
    return fetchJars(work, CONNECT);
  });
  const plugins = await builtOnce(`debezium-mysql-${DEBEZIUM_VERSION}`, progress, (work) => {
    progress(`Debezium: downloading ${DEBEZIUM_VERSION} with Maven (34 MB)`);
    return fetchJars(work, DEBEZIUM);
  });
  return { classPath: join(connect, 'jars', '*'), plugins };
}

/** `artifacts` and all they need, in the folder `jars` of the folder returned: so it is a plugin path, too. */
async function fetchJars(work: string, artifacts: readonly Artifact[]): Promise<string> {
  const folder = join(work, 'fetched');
  await mkdir(folder);
  await writeFile(join(work, 'pom.xml'), projectOf(artifacts));
  const result = await runCommand(
    'mvn',
    [
      '--batch-mode',
      `${DEPENDENCY_PLUGIN}:copy-dependencies`,
      '-DincludeScope=runtime',
      `-DoutputDirectory=${join(folder, 'jars')}`,
    ],
    { cwd: work },
  );
  if (result.code === 0) return folder;
  const said = result.code === 127 ? 'is not installed' : `ended with ${result.code}:`;
  throw new ServiceError(
    `Maven ${said}\n${result.stdout.slice(-2_000)}${result.stderr}`.trimEnd(),
    CURE,
  );
}

function projectOf(artifacts: readonly Artifact[]): string {
  const dependencies = artifacts.map(
    ({ group, name, version }) => `
    <dependency>
      <groupId>${group}</groupId>
      <artifactId>${name}</artifactId>
      <version>${version}</version>
    </dependency>`,
  );
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>rowcall</groupId>
  <artifactId>kafka-connect</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>${dependencies.join('')}
  </dependencies>
</project>
`;
}
