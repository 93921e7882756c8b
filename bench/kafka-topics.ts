/** The topics of one measurement: made beforehand, alike for every peer, and gone afterwards. */

import kafkajs, { Kafka, logLevel } from 'kafkajs';
import type { Admin } from 'kafkajs';

import { startKafka } from '../services/kafka.ts';
import type { KafkaServer } from '../services/kafka.ts';
import { pause } from '../test/support/rowcall-process.ts';

export const PARTITIONS = 8;

const LEADERS_TIMEOUT_MS = 30_000;

export class BenchKafka {
  readonly server: KafkaServer;
  readonly #admin: Admin;
  #runs = 0;

  private constructor(server: KafkaServer, admin: Admin) {
    this.server = server;
    this.#admin = admin;
  }

  static async open(progress: (line: string) => void): Promise<BenchKafka> {
    const server = await startKafka({ progress });
    const kafka = new Kafka({ brokers: [...server.bootstrap], logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    try {
      await admin.connect();
    } catch (error) {
      await server.dispose();
      throw error;
    }
    return new BenchKafka(server, admin);
  }

  get brokers(): readonly string[] {
    return this.server.bootstrap;
  }

  /** A beginning of topic names that no other measurement has. */
  prefix(peer: string): string {
    this.#runs += 1;
    return `bench-${process.pid}-${this.#runs}-${peer}`;
  }

  /** Done when their leaders answer. */
  async create(topics: readonly string[], partitions = PARTITIONS): Promise<void> {
    await this.#admin.createTopics({
      // It gives up at the first answer that does not know the topic yet.
      waitForLeaders: false,
      topics: topics.map((topic) => ({ topic, numPartitions: partitions, replicationFactor: 1 })),
    });
    const deadline = performance.now() + LEADERS_TIMEOUT_MS;
    while (!(await this.#areLed(topics))) {
      if (performance.now() > deadline) throw new Error(`No leaders of ${topics.join(', ')}`);
      await pause(50);
    }
  }

  async #areLed(topics: readonly string[]): Promise<boolean> {
    try {
      await this.ends(topics);
      return true;
    } catch (error) {
      if (error instanceof kafkajs.KafkaJSProtocolError && error.retriable) return false;
      throw error;
    }
  }

  /** Sum of the end offsets: of records, and of the markers that end transactions. */
  async ends(topics: readonly string[]): Promise<number> {
    const offsets = await Promise.all(topics.map((topic) => this.#admin.fetchTopicOffsets(topic)));
    return offsets.flat().reduce((sum, { offset }) => sum + Number(offset), 0);
  }

  async removeAll(prefix: string): Promise<void> {
    const topics = (await this.#admin.listTopics()).filter((topic) => topic.startsWith(prefix));
    if (topics.length > 0) await this.#admin.deleteTopics({ topics });
  }

  async close(): Promise<void> {
    await this.#admin.disconnect();
    await this.server.dispose();
  }
}
