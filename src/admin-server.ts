/** The admin address of one process, over the parts that it has. */

import type { CallbackSet } from './callback-set.ts';
import type { Config } from './config/schema.ts';
import { DeliverInTurn } from './deliver/deliver-in-turn.ts';
import type { Deliver } from './deliver/deliver.ts';
import { runTokenFile } from './operate/admin/run-token.ts';
import { AdminServer, type AdminParts } from './operate/admin/server.ts';
import type { Replays } from './replays.ts';

type Given = 'config' | 'host' | 'port' | 'callbacks' | 'replays' | 'tokenFile' | 'standby';

interface Parts extends Omit<AdminParts, Given | 'deliver'> {
  /** Null where this process does not deliver, as `replays`. */
  readonly callbacks: CallbackSet | null;
  readonly replays: Replays | null;
  readonly deliver: Deliver | DeliverInTurn | null;
}

export function adminServer(config: Config, { callbacks, replays, ...parts }: Parts): AdminServer {
  const { deliver } = parts;
  return new AdminServer({
    ...config.admin.listen,
    ...parts,
    config,
    ...(callbacks === null ? {} : { callbacks, tokenFile: runTokenFile(config) }),
    ...(replays === null ? {} : { replays }),
    standby: () => (deliver instanceof DeliverInTurn ? deliver.standby : null),
  });
}
