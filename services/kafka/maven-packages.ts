/**
 * Kafka's jars from Maven Central, in a folder of the user's cache. Maven's own settings name the
 * mirror, the proxy and the certificates, so that a company's or a country's own ones are respected.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { builtOnce as builtOnceIn } from '../built-once.ts';
import { cacheFolder } from '../cache.ts';
import { runCommand } from '../command.ts';
import { ServiceError } from '../service-error.ts';

export const KAFKA_VERSION = '4.3.1';
const LOG4J_VERSION = '2.25.3';
const DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';
const OLDEST_JAVA = 17;

export const OTHER_WAYS =
  'Install Java 17 or newer and Maven, start Docker, or give a running cluster in ROWCALL_KAFKA_BROKERS (host:port,host:port).';

export function packagesFolder(): string {
  return join(cacheFolder(), `kafka-${KAFKA_VERSION}`);
}

/**
 * The folder with the jars, downloaded once and then taken from the cache. Two processes that come
 * first at the same time: one works, the other waits. The folder gets its final name only when it is
 * whole, so that a killed download leaves nothing that looks finished.
 */
export async function kafkaJars(progress: (line: string) => void): Promise<string> {
  return builtOnce('libs', progress, async (work) => {
    await download(work, progress);
    return join(work, 'libs');
  });
}

/** `name` in the cache's folder, made by `build` in a folder of its own, once for all processes. */
export function builtOnce(
  name: string,
  progress: (line: string) => void,
  build: (work: string) => Promise<string>,
): Promise<string> {
  const onWait = (): void => {
    progress('Kafka: another run is setting it up, waiting');
  };
  return builtOnceIn({ folder: packagesFolder(), name, onWait }, build);
}

/** The version of the machine's Java, as it says it: `17.0.15`. Throws ServiceError where it is none or too old. */
export async function checkJava(): Promise<string> {
  const java = await runCommand('java', ['-version']);
  const version = /version "([\w.+-]+)"/.exec(java.stderr)?.[1] ?? '';
  if (java.code === 0 && Number(version.split('.')[0]) >= OLDEST_JAVA) return version;
  const has = version === '' ? 'no Java' : `only Java ${version}`;
  throw new ServiceError(
    `No Kafka at hand: none was given, no Docker engine answers, and this machine has ${has} to run one.`,
    OTHER_WAYS,
  );
}

async function download(work: string, progress: (line: string) => void): Promise<void> {
  progress(`Kafka: downloading ${KAFKA_VERSION} with Maven (45 MB)`);
  await mkdir(work, { recursive: true });
  await writeFile(join(work, 'pom.xml'), POM);
  let count = 0;
  const result = await runCommand(
    'mvn',
    [
      '--batch-mode',
      `${DEPENDENCY_PLUGIN}:copy-dependencies`,
      '-DincludeScope=runtime',
      `-DoutputDirectory=${join(work, 'libs')}`,
    ],
    {
      cwd: work,
      onLine: (line) => {
        if (!line.includes('Downloaded from') || !line.includes('.jar')) return;
        count += 1;
        if (count % 20 === 0) progress(`Kafka: ${count} files downloaded`);
      },
    },
  );
  if (result.code === 0) return;
  const said = result.code === 127 ? 'is not installed' : `ended with ${result.code}:`;
  throw new ServiceError(
    `Maven, which is to download Kafka, ${said}\n${result.stdout.slice(-2_000)}${result.stderr}`.trimEnd(),
    `Check that Maven can reach its repository. ${OTHER_WAYS}`,
  );
}

/** Brokers and tools; of Kafka Connect only what the tools themselves load. */
const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>rowcall</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>${KAFKA_VERSION}</version>
      <exclusions>
        <exclusion>
          <groupId>org.apache.kafka</groupId>
          <artifactId>connect-runtime</artifactId>
        </exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>${LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
`;
