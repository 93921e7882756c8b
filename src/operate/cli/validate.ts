/** `rowcall validate`: the configuration alone, every error at once; with --print, as it takes effect. */

import { loadConfig } from '../../config/load.ts';
import { printConfig } from '../../config/print.ts';
import type { CliIo } from './io.ts';

export async function validate(
  options: { readonly config: string; readonly print?: boolean },
  io: CliIo,
): Promise<void> {
  const file = options.config;
  const config = await loadConfig(file, io.env);
  if (options.print === true) {
    io.out(printConfig(config));
    return;
  }
  const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;
  io.out(
    `${file} is valid: ${config.name}, ${count(config.tables.length, 'table rule')}, ` +
      `${count(config.callbacks.length, 'callback')}.\n`,
  );
}
