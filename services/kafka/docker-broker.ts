/** One broker in a container: stopped, killed, held and started again with the same data and ports. */
import type { Container } from 'dockerode';
import { waitForBrokers } from './answer.ts';
import type { KafkaBroker } from './kafka-server.ts';
import { CLIENT_HOST } from './settings.ts';

const START_TIMEOUT_MS = 180_000;
const STOP_TIMEOUT_SECONDS = 60;

export class DockerBroker implements KafkaBroker {
  readonly host = CLIENT_HOST;
  readonly pid = undefined;
  readonly container: Container;
  readonly id: number;
  readonly port: number;
  readonly internalPort: number;
  #isRunning = true;
  #isPaused = false;

  constructor(
    container: Container,
    at: { readonly id: number; readonly client: number; readonly internal: number },
  ) {
    this.container = container;
    this.id = at.id;
    this.port = at.client;
    this.internalPort = at.internal;
  }

  get answers(): boolean {
    return this.#isRunning && !this.#isPaused;
  }

  async start(): Promise<void> {
    if (!this.#isRunning) await this.container.start();
    this.#isRunning = true;
    await this.waitFor([this.id]);
  }

  /** Until this broker knows that these serve clients. */
  waitFor(ids: readonly number[]): Promise<void> {
    const address = { host: CLIENT_HOST, port: this.internalPort };
    return waitForBrokers(address, ids, { timeoutMs: START_TIMEOUT_MS, isOver: () => false });
  }

  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    await this.resume();
    await this.container.stop({ t: STOP_TIMEOUT_SECONDS });
    this.#isRunning = false;
  }

  async kill(): Promise<void> {
    if (!this.#isRunning) return;
    await this.resume();
    await this.container.kill({ signal: 'SIGKILL' });
    await this.container.wait();
    this.#isRunning = false;
  }

  async pause(): Promise<void> {
    if (!this.answers) return;
    await this.container.pause();
    this.#isPaused = true;
  }

  async resume(): Promise<void> {
    if (!this.#isPaused) return;
    await this.container.unpause();
    this.#isPaused = false;
  }

  async dispose(): Promise<void> {
    this.#isRunning = false;
    await this.container.remove({ force: true, v: true });
  }
}
