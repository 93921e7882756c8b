/** Faults on a schedule: the only waiting in these tests that waits for nothing. */
import type { KafkaOptions, KafkaServer } from '../../services/kafka.ts';
import { startOwnKafka } from './kafka.ts';
import { pause } from './rowcall-process.ts';
import { TcpProxy } from './tcp-proxy.ts';
import type { Dice } from './workload-random.ts';

export interface ProxiedKafka {
  readonly kafka: KafkaServer;
  /** What clients know of each broker, by its id. */
  readonly proxies: ReadonlyMap<number, TcpProxy>;
  close(): Promise<void>;
}

/** A cluster whose brokers tell their clients the address of a proxy. */
export async function startProxiedKafka(options: KafkaOptions = {}): Promise<ProxiedKafka> {
  const proxies = new Map<number, TcpProxy>();
  const kafka = await startOwnKafka({
    ...options,
    advertise: async ({ id, host, port }) => {
      // Asked again where the broker had to move to another port.
      await proxies.get(id)?.close();
      const proxy = await TcpProxy.listen({ host, port });
      proxies.set(id, proxy);
      return proxy.port;
    },
  });
  return {
    kafka,
    proxies,
    close: async () => {
      for (const proxy of proxies.values()) await proxy.close();
    },
  };
}

/** Resets all connections again and again, 50 to 300 ms apart; gives how many it reset in all. */
export async function cutConnections(
  proxies: Iterable<TcpProxy>,
  dice: Dice,
  durationMs: number,
): Promise<number> {
  const all = [...proxies];
  const until = performance.now() + durationMs;
  let connections = 0;
  while (performance.now() < until) {
    await pause(dice.between(50, 300));
    for (const proxy of all) {
      connections += proxy.connections;
      proxy.cut();
    }
  }
  return connections;
}

/** Seconds that `work` took, to a tenth. */
export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return Math.round((performance.now() - began) / 100) / 10;
}
