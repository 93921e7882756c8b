/** What the clients' door of a cluster needs: certificates, and how Kafka's own clients come in. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeCertificates } from './certificates.ts';
import type { Certificates } from './certificates.ts';
import type { KafkaOptions } from './kafka-server.ts';
import { clientProperties } from './settings.ts';

export interface ClientDoor {
  readonly tls: Certificates | undefined;
  /** client.properties for Kafka's own programs. */
  readonly clientConfig: string;
}

export async function makeDoor(folder: string, options: KafkaOptions): Promise<ClientDoor> {
  await mkdir(folder, { recursive: true });
  const tls = options.tls === true ? await makeCertificates(folder) : undefined;
  const clientConfig = join(folder, 'client.properties');
  await writeFile(clientConfig, clientProperties(options, tls?.client.ca), { mode: 0o600 });
  return { tls, clientConfig };
}
