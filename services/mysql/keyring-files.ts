/** The files that make MySQL load a keyring, where its key lies in a file. */

export const KEYRING = 'component_keyring_file';

/** What a server finds that is to load it. */
export const MANIFEST = JSON.stringify({ components: `file://${KEYRING}` });

export function keyringSettings(path: string): string {
  return JSON.stringify({ path, read_only: false });
}

/** In the image nobody else uses the program, and both may lie beside it. */
export const KEYRING_IN_IMAGE = [
  { target: '/usr/sbin/mysqld.my', content: MANIFEST },
  {
    target: `/usr/lib64/mysql/plugin/${KEYRING}.cnf`,
    content: keyringSettings('/var/lib/mysql-keyring/keyring'),
  },
] as const;
