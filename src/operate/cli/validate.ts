/** `rowcall validate`: the configuration alone, every error at once. */

import { loadConfig } from '../../config/load.ts';
import type { CliIo } from './io.ts';

export async function validate(file: string, io: CliIo): Promise<void> {
  const config = await loadConfig(file, io.env);
  const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;
  io.out(
    `${file} is valid: ${config.name}, ${count(config.tables.length, 'table rule')}, ` +
      `${count(config.callbacks.length, 'callback')}.\n`,
  );
}
