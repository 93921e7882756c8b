/** The key that a MariaDB server encrypts its binlog with, and the options that make it do so. */

/** The first one is the binlog's. It guards nothing: what it encrypts is a test's. */
export const KEYS = `1;${'0123456789abcdef'.repeat(4)}\n`;

const KEYS_IN_IMAGE = '/etc/rowcall-keys.txt';
export const ENCRYPTION_IN_IMAGE = [{ target: KEYS_IN_IMAGE, content: KEYS }] as const;

export function keysAt(path: string): string {
  return `--file-key-management-filename=${path}`;
}

/** With the keys where the image has them, unless a later option names another file. */
export const ENCRYPTING = [
  '--plugin-load-add=file_key_management',
  keysAt(KEYS_IN_IMAGE),
  '--encrypt-binlog=ON',
] as const;
