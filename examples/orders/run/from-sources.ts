/** Loaded before a service: in this repository `rowcall/receiver` is its sources, without a build. */

import { registerHooks } from 'node:module';

const RECEIVER = new URL('../../../src/receiver/receiver.ts', import.meta.url).href;

registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier === 'rowcall/receiver' ? RECEIVER : specifier, context),
});
