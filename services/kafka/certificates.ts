/** Certificates for a cluster's clients' door, made with openssl for the time of one run. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import { ServiceError } from '../service-error.ts';
import type { TlsFiles } from './kafka-server.ts';

export interface Certificates {
  readonly client: TlsFiles;
  readonly broker: {
    /** Key and chain in one PEM file, as Kafka wants it. */
    readonly keystore: string;
    readonly ca: string;
  };
}

const DAYS = '30';
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** A CA, and certificates by it for the brokers and for a client. The CA's key stays in the folder. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const ca = join(folder, 'ca.pem');
  const caKey = join(folder, 'ca.key');
  await openssl([
    ...['req', '-x509', ...KEY, '-days', DAYS, '-subj', '/CN=Rowcall test CA'],
    ...['-keyout', caKey, '-out', ca],
  ]);
  const broker = await signed(folder, 'broker', { ca, caKey });
  const client = await signed(folder, 'client', { ca, caKey });
  const keystore = join(folder, 'broker-keystore.pem');
  const parts = await Promise.all([broker.key, broker.certificate, ca].map((f) => readFile(f)));
  await writeFile(keystore, Buffer.concat(parts), { mode: 0o600 });
  return {
    client: { ca, clientCertificate: client.certificate, clientKey: client.key },
    broker: { keystore, ca },
  };
}

async function signed(
  folder: string,
  name: string,
  by: { readonly ca: string; readonly caKey: string },
): Promise<{ certificate: string; key: string }> {
  const key = join(folder, `${name}.key`);
  const request = join(folder, `${name}.csr`);
  const certificate = join(folder, `${name}.pem`);
  const extensions = join(folder, `${name}.ext`);
  await writeFile(
    extensions,
    'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n',
  );
  await openssl(['req', ...KEY, '-subj', `/CN=${name}`, '-keyout', key, '-out', request]);
  await openssl([
    ...['x509', '-req', '-in', request, '-days', DAYS, '-extfile', extensions],
    ...['-CA', by.ca, '-CAkey', by.caKey, '-CAcreateserial', '-out', certificate],
  ]);
  return { certificate, key };
}

async function openssl(args: readonly string[]): Promise<void> {
  const result = await runCommand('openssl', args);
  if (result.code === 0) return;
  throw new ServiceError(
    `openssl ${args[0] ?? ''} ended with ${result.code}: ${result.stderr.trim()}`,
    'Install openssl, which makes the certificates.',
  );
}
