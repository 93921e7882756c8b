/** The certificates of a `tls` section, read from the files that it names. */

import { readFile } from 'node:fs/promises';
import type { TlsConfig } from './config/schema.ts';
import { RowcallError } from './errors.ts';

/** PEM texts; absent where the section names none. */
export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Which section it is, and the code of what is wrong with its files. */
export interface TlsSection {
  readonly name: 'source.tls' | 'log.tls' | 'deliver.tls' | 'on_settled.tls';
  readonly code: 'SOURCE_TLS' | 'LOG_TLS' | 'CALLBACK_TLS';
}

/** @throws RowcallError of the section's code when a file cannot be read */
export async function readTlsFiles(
  tls: Pick<TlsConfig, 'ca' | 'cert' | 'key'>,
  section: TlsSection,
): Promise<TlsFiles> {
  const [ca, cert, key] = await Promise.all(
    [tls.ca, tls.cert, tls.key].map((path) => readPem(path, section)),
  );
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

async function readPem(
  path: string | null,
  { name, code }: TlsSection,
): Promise<string | undefined> {
  if (path === null) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new RowcallError(code, `A file of ${name} cannot be read: ${path}`, {
      place: path,
      cause: error,
    });
  }
}
