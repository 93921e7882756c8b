/** `rowcall callbacks …`: who is called back, and how that is changed. */

import { z } from 'zod';
import { RowcallError } from '../../errors.ts';
import type { CallbackAction } from '../../state/state-store.ts';
import { callbackSchema, type Callback } from '../admin/routes/callbacks.ts';
import { differenceSchema, versionSchema } from '../admin/routes/callback-versions.ts';
import { madeSchema } from '../admin/routes/callback-changes.ts';
import { goneWith, removedSchema } from '../admin/routes/callback-removal.ts';
import { ApiClient, type ApiOptions, pages } from './api-client.ts';
import { readCallback } from './callback-file.ts';
import type { CliIo } from './io.ts';
import { printJson } from './listing.ts';
import { actStored, listStored, showStored } from './stored-callbacks.ts';
import { formatTable } from './table.ts';

export interface CallbackCommandOptions extends ApiOptions {
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly reason?: string;
}

const path = (name: string, rest = ''): string => `/callbacks/${encodeURIComponent(name)}${rest}`;

/** What needs no daemon is asked of the state file, whether one runs or not: a program gets one form. */
function storedIn({ config, url }: CallbackCommandOptions): string | null {
  return url === undefined && config !== undefined ? config : null;
}

const DONE: Readonly<Record<CallbackAction, string>> = {
  enable:
    'enabled: a running dispatcher goes on within a second or two, at the event where it stopped',
  disable:
    'disabled: a running dispatcher begins nothing more within a second or two, and holds its events',
  resume: 'to go on now: a running dispatcher waits neither for its breaker nor for a Retry-After',
};

/** @throws RowcallError CALLBACK_UNKNOWN, USAGE */
export async function actOnCallback(
  action: CallbackAction,
  name: string,
  options: CallbackCommandOptions,
  io: CliIo,
): Promise<void> {
  const reason = (options.reason ?? '').trim();
  if (reason === '') {
    throw new RowcallError('USAGE', `callbacks ${action} needs a reason`, {
      cure: 'Say why with --reason: it stands in the audit log.',
    });
  }
  const config = storedIn(options);
  if (config !== null) {
    await actStored(action, name, { config, reason }, io);
  } else {
    const client = await ApiClient.find(options, io);
    const asked = { method: 'POST', path: path(name, `/${action}`), body: { reason } } as const;
    await client.ask({ ...asked, answer: callbackSchema });
  }
  io.out(`${name}: ${DONE[action]}.\n`);
}

export async function listCallbacks(options: CallbackCommandOptions, io: CliIo): Promise<void> {
  const config = storedIn(options);
  if (config !== null) {
    await listStored({ ...options, config }, io);
    return;
  }
  const client = await ApiClient.find(options, io);
  const items: Callback[] = [];
  for await (const item of pages(client, '/callbacks', callbackSchema)) items.push(item);
  if (options.json === true) {
    printJson(io, { items, next: null });
    return;
  }
  io.out(
    formatTable(
      ['name', 'origin', 'version', 'state', 'lag', 'lanes', 'in lanes', 'reason'],
      items.map((one) => [
        ...[one.name, one.origin, one.version, one.state, one.lag ?? 'unknown'],
        ...[one.lanes, one.lane_events, (one.reason ?? '').slice(0, 80)],
      ]),
    ),
  );
}

export async function showCallback(
  name: string,
  options: CallbackCommandOptions,
  io: CliIo,
): Promise<void> {
  const config = storedIn(options);
  if (config !== null) {
    await showStored(name, { ...options, config }, io);
    return;
  }
  const client = await ApiClient.find(options, io);
  printJson(io, await client.ask({ path: path(name), answer: callbackSchema }));
}

/** @param file YAML or JSON of one callback, as it stands in a list of the configuration */
export async function registerCallback(
  file: string,
  options: CallbackCommandOptions & { readonly replace?: boolean },
  io: CliIo,
): Promise<void> {
  const body = await readCallback(file);
  const client = await ApiClient.find(options, io);
  const { reason } = options;
  const name = String(body['name']);
  const made = await client.ask({
    method: options.replace === true ? 'PUT' : 'POST',
    path: options.replace === true ? path(name) : '/callbacks',
    ...{ body, query: { reason }, answer: madeSchema },
  });
  if (options.json === true) {
    printJson(io, made);
    return;
  }
  io.out(`${made.name} is called from now on (version ${made.version}).\n`);
  tellSecret(made, io);
}

export async function listVersions(
  name: string,
  options: CallbackCommandOptions,
  io: CliIo,
): Promise<void> {
  const client = await ApiClient.find(options, io);
  const answer = z.object({ items: z.array(versionSchema) });
  const versions = await client.ask({ path: path(name, '/versions'), answer });
  if (options.json === true) {
    printJson(io, versions);
    return;
  }
  io.out(
    formatTable(
      ['version', 'since', 'by', 'reason'],
      versions.items.map(({ version, at, actor, reason }) => [version, at, actor, reason]),
    ),
  );
}

export async function diffVersions(
  name: string,
  range: { readonly from: number; readonly to: number },
  options: CallbackCommandOptions,
  io: CliIo,
): Promise<void> {
  const client = await ApiClient.find(options, io);
  const answer = z.object({ items: z.array(differenceSchema) });
  const found = await client.ask({ path: path(name, '/diff'), query: range, answer });
  if (options.json === true) {
    printJson(io, found);
    return;
  }
  for (const one of found.items) {
    io.out(`${one.path}\n`);
    if (one.from !== undefined) io.out(`  - ${JSON.stringify(one.from)}\n`);
    if (one.to !== undefined) io.out(`  + ${JSON.stringify(one.to)}\n`);
  }
  if (found.items.length === 0) io.out('No difference.\n');
}

export async function rollBack(
  name: string,
  version: number,
  options: CallbackCommandOptions,
  io: CliIo,
): Promise<void> {
  const client = await ApiClient.find(options, io);
  const made = await client.ask({
    ...{ method: 'POST', path: path(name, '/rollback') },
    query: { version, reason: options.reason },
    answer: callbackSchema,
  });
  if (options.json === true) printJson(io, made);
  else io.out(`${name} is as in version ${version} again (version ${made.version}).\n`);
}

export async function rotateSecret(
  name: string,
  options: CallbackCommandOptions & { readonly retire?: boolean; readonly dropOlder?: boolean },
  io: CliIo,
): Promise<void> {
  const client = await ApiClient.find(options, io);
  const retire = options.retire === true ? 'true' : 'false';
  const made = await client.ask({
    ...{ method: 'POST', path: path(name, '/rotate-secret') },
    query: {
      ...{ retire, reason: options.reason },
      drop_older: options.dropOlder === true ? 'true' : 'false',
    },
    answer: madeSchema,
  });
  if (options.json === true) {
    printJson(io, made);
    return;
  }
  if (options.retire === true) io.out(`${name} signs with its newest secret alone.\n`);
  tellSecret(made, io);
}

/** @throws RowcallError CALLBACK_PENDING without --yes, with the count */
export async function removeCallback(
  name: string,
  options: CallbackCommandOptions,
  io: CliIo,
): Promise<void> {
  const client = await ApiClient.find(options, io);
  const confirm = options.yes === true ? 'true' : 'false';
  const removed = await client.ask({
    ...{ method: 'DELETE', path: path(name) },
    query: { confirm, reason: options.reason },
    answer: removedSchema,
  });
  if (options.json === true) printJson(io, removed);
  else io.out(`${name} is removed, with ${goneWith(removed)}.\n`);
}

function tellSecret({ secret }: z.output<typeof madeSchema>, io: CliIo): void {
  if (secret === undefined) return;
  io.out(`Its secret, shown this once:\n  ${secret}\n`);
}
