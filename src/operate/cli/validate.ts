/** `rowcall validate`: the configuration and the handlers it names, every error at once; with --print, as it takes effect. */

import { loadConfig } from '../../config/load.ts';
import { printConfig } from '../../config/print.ts';
import { configWarnings } from '../../config/warnings.ts';
import type { CliIo } from './io.ts';

export async function validate(
  options: { readonly config: string; readonly print?: boolean },
  io: CliIo,
): Promise<void> {
  const file = options.config;
  const config = await loadConfig(file, io.env, { files: true });
  for (const warning of configWarnings(config)) io.err(`warning ${warning}\n`);
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
