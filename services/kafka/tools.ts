/** Kafka's own command line programs: referees that are not made by us. */
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { ServiceError } from '../service-error.ts';
import { consumerArguments, producerArguments, producerLines } from './console-format.ts';
import type { ConsumeOptions, ProducedRecord } from './console-format.ts';
import { KafkaConsumption } from './consumption.ts';

/** A program of Kafka's that runs. */
export interface ToolProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Its exit code; -1 when a signal ended it. Never rejects for what the program does. */
  readonly exited: Promise<number>;
  /** Ends it, if it has not ended by itself. */
  end(): Promise<void>;
}

/** How a Java class out of Kafka's jars is run: on this machine or in a container. */
export type ToolRunner = (mainClass: string, args: readonly string[]) => Promise<ToolProcess>;

export interface ToolAddresses {
  /** `host:port,…` of the door without TLS and login, as the tools see it. */
  readonly internal: () => string;
  /** `host:port,…` of the clients' door, and the file that says how to come in by it. */
  readonly client: () => string;
  readonly clientConfig: string | undefined;
}

/** The tools come in by the brokers' own door, unless asked to come as a client does. */
export class KafkaTools {
  readonly #run: ToolRunner;
  readonly #addresses: ToolAddresses;

  constructor(run: ToolRunner, addresses: ToolAddresses) {
    this.#run = run;
    this.#addresses = addresses;
  }

  /** kafka-topics with these arguments: `['--create', '--topic', 'a', '--partitions', '3']`. Gives its output. */
  topics(args: readonly string[]): Promise<string> {
    return this.admin('org.apache.kafka.tools.TopicCommand', args);
  }

  /** kafka-consumer-groups: `['--describe', '--group', 'a']`. */
  consumerGroups(args: readonly string[]): Promise<string> {
    return this.admin('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', args);
  }

  /** kafka-configs: `['--alter', '--entity-type', 'topics', '--entity-name', 'a', '--add-config', 'b=c']`. */
  configs(args: readonly string[]): Promise<string> {
    return this.admin('kafka.admin.ConfigCommand', args);
  }

  /** Any program that takes --bootstrap-server. Throws ServiceError with its output if it fails. */
  admin(mainClass: string, args: readonly string[]): Promise<string> {
    return this.runToEnd(mainClass, ['--bootstrap-server', this.#addresses.internal(), ...args]);
  }

  /** Runs a class to its end, with `input` on its standard input. Throws as `admin` does. */
  async runToEnd(mainClass: string, args: readonly string[], input = ''): Promise<string> {
    const tool = await this.#run(mainClass, args);
    // A program that ends before it has read everything says why by its exit code.
    tool.stdin.on('error', () => undefined).end(input);
    const [output, errors, code] = await Promise.all([
      text(tool.stdout),
      text(tool.stderr),
      tool.exited,
    ]);
    if (code === 0) return output;
    throw new ServiceError(
      `${mainClass} ${args.join(' ')} ended with ${code}:\n${output}${errors}`.trimEnd(),
      'Correct what it names.',
    );
  }

  /** kafka-console-consumer, streaming. End it with `end`, or leave it with `await using`. */
  async consume(options: ConsumeOptions): Promise<KafkaConsumption> {
    const tool = await this.#run('org.apache.kafka.tools.consumer.ConsoleConsumer', [
      ...this.#door(options.asClient),
      ...consumerArguments(options),
    ]);
    tool.stdin.end();
    return new KafkaConsumption(tool);
  }

  /** kafka-console-producer, with acks=all; its partitioner is that of the Java client. */
  async produce(
    topic: string,
    records: readonly ProducedRecord[],
    options: { readonly asClient?: boolean } = {},
  ): Promise<void> {
    const args = [...this.#door(options.asClient), ...producerArguments(topic)];
    await this.runToEnd('org.apache.kafka.tools.ConsoleProducer', args, producerLines(records));
  }

  #door(asClient: boolean | undefined): string[] {
    if (asClient !== true) return ['--bootstrap-server', this.#addresses.internal()];
    const { clientConfig } = this.#addresses;
    return [
      '--bootstrap-server',
      this.#addresses.client(),
      ...(clientConfig === undefined ? [] : ['--command-config', clientConfig]),
    ];
  }
}
