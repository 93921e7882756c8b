/** Java programs out of Kafka's jars, run on this machine. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { Janitor } from '../janitor.ts';
import type { ToolProcess } from './tools.ts';

/** Brokers say what they do, tools only what went wrong. */
export type Logging = 'broker' | 'tools';

/** How Java runs what is in Kafka's jars. */
export class KafkaPrograms {
  readonly #libs: string;
  readonly #template: string;
  readonly #shared: () => readonly string[];

  /**
   * @param kafka the folder with the jars, and the template's, which holds the logging settings.
   * @param shared arguments for the classes' archive, asked for at each start.
   */
  constructor(
    kafka: { readonly libs: string; readonly template: string },
    shared: () => readonly string[] = () => [],
  ) {
    this.#libs = kafka.libs;
    this.#template = kafka.template;
    this.#shared = shared;
  }

  /** Arguments of `java` up to the main class. */
  javaArguments(jvm: readonly string[], logging: Logging = 'tools'): string[] {
    return [
      ...jvm,
      ...this.#shared(),
      `-Dlog4j2.configurationFile=${join(this.#template, loggingFile(logging))}`,
      '-Djava.awt.headless=true',
      '-cp',
      join(this.#libs, '*'),
    ];
  }

  /** The janitor ends it when this run is gone: a console consumer would wait for a dead broker for good. */
  run(mainClass: string, args: readonly string[]): Promise<ToolProcess> {
    const mark = `-Drowcall.tool=${crypto.randomUUID()}`;
    const janitor = new Janitor({ folder: undefined, signal: 'KILL', mark });
    const child = spawn('java', [...this.javaArguments([...TOOL_JVM, mark]), mainClass, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    janitor.watch(child.pid);
    const exited = new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => {
        resolve(code ?? -1);
      });
    }).finally(() => {
      janitor.watch(undefined);
      return janitor.release();
    });
    const end = async (): Promise<void> => {
      child.kill('SIGKILL');
      await exited;
    };
    const { stdin, stdout, stderr } = child;
    return Promise.resolve({ stdin, stdout, stderr, exited, end });
  }
}

export function loggingFile(logging: Logging): string {
  return `${logging}.properties`;
}

/** Short-lived and small: the fast compiler alone, one collector thread. */
const TOOL_JVM = ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];
