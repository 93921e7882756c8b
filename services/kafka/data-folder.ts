/** The data folder of one broker, as `kafka-storage format` leaves it. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What a new cluster starts from: the version of its metadata and the accounts for SCRAM. */
export const BOOTSTRAP_FILE = 'bootstrap.checkpoint';
/** Who the folder belongs to: version 1, https://kafka.apache.org/documentation/#kraft_storage */
export const META_FILE = 'meta.properties';

/** Fills `dataDir` from a template, with a directory id of its own: two folders must never look alike. */
export async function fillDataFolder(
  template: string,
  dataDir: string,
  ids: { readonly cluster: string; readonly node: number },
): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  await copyFile(join(template, BOOTSTRAP_FILE), join(dataDir, BOOTSTRAP_FILE));
  const lines = [
    'version=1',
    `cluster.id=${ids.cluster}`,
    `node.id=${ids.node}`,
    `directory.id=${kafkaUuid()}`,
    '',
  ];
  await writeFile(join(dataDir, META_FILE), lines.join('\n'));
}

/** 16 random bytes as Kafka writes them; never with a dash in front, which would look like an option. */
export function kafkaUuid(): string {
  for (;;) {
    const bytes = Buffer.from(crypto.randomUUID().replaceAll('-', ''), 'hex');
    const text = bytes.toString('base64url');
    if (!text.startsWith('-')) return text;
  }
}
