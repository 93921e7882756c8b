/** What keeps callbacks as a whole from being called, in the database. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { unreachable } from '../../shared/assert.ts';
import type { Row } from '../../shared/sqlite-row.ts';
import { numberOf, numberOrNull, textOf, textOrNull } from '../../shared/sqlite-row.ts';
import type { Asked, CallbackAction, CallbackHold, HoldChange } from '../state-store.ts';
import type { AuditTable } from './audit-table.ts';

/** Who disables a callback whose endpoint answers 410. */
const ENDPOINT = 'endpoint';

/**
 * Invariant: a callback that is disabled stays so, and one that waits waits as long as it was told, until a person says
 * otherwise. Were that only in memory, a restart would call an endpoint that said not to.
 */
export class CallbackHoldTable {
  readonly #audit: AuditTable;
  readonly #all: StatementSync;
  readonly #disable: StatementSync;
  readonly #enable: StatementSync;
  readonly #wait: StatementSync;
  readonly #resume: StatementSync;

  constructor(db: DatabaseSync, audit: AuditTable) {
    this.#audit = audit;
    this.#all = db.prepare('SELECT * FROM callback_holds ORDER BY callback');
    this.#disable = db.prepare(
      `INSERT INTO callback_holds (callback, disabled_at, disabled_by, disabled_reason) VALUES (?, ?, ?, ?)
       ON CONFLICT (callback) DO UPDATE SET disabled_at = excluded.disabled_at,
         disabled_by = excluded.disabled_by, disabled_reason = excluded.disabled_reason`,
    );
    this.#enable = db.prepare(
      `UPDATE callback_holds SET disabled_at = NULL, disabled_by = NULL, disabled_reason = NULL
       WHERE callback = ?`,
    );
    this.#wait = db.prepare(
      `INSERT INTO callback_holds (callback, wait_until, wait_reason) VALUES (?, ?, ?)
       ON CONFLICT (callback) DO UPDATE SET wait_until = excluded.wait_until, wait_reason = excluded.wait_reason
         WHERE wait_until IS NULL OR wait_until < excluded.wait_until`,
    );
    this.#resume = db.prepare(
      `INSERT INTO callback_holds (callback, resumed) VALUES (?, 1)
       ON CONFLICT (callback) DO UPDATE SET resumed = resumed + 1, wait_until = NULL, wait_reason = NULL`,
    );
  }

  all(): CallbackHold[] {
    return this.#all.all().map(holdOf);
  }

  act(callback: string, action: CallbackAction, asked: Asked): void {
    switch (action) {
      case 'enable':
        this.#enable.run(callback);
        break;
      case 'disable':
        this.#disable.run(callback, asked.atMs, asked.actor, asked.reason);
        break;
      case 'resume':
        this.#resume.run(callback);
        break;
      default:
        unreachable(action);
    }
    const nothing = { topic: null, key: null, eventId: null };
    this.#audit.add({ ...asked, ...nothing, action: `callback-${action}`, callback });
  }

  gone({ callback, atMs, reason }: Extract<HoldChange, { type: 'callback-gone' }>): void {
    this.act(callback, 'disable', { actor: ENDPOINT, reason, atMs });
  }

  waits({ callback, untilMs, reason }: Extract<HoldChange, { type: 'callback-waits' }>): void {
    this.#wait.run(callback, untilMs, reason);
  }
}

function holdOf(row: Row): CallbackHold {
  const [atMs, untilMs] = [numberOrNull(row, 'disabled_at'), numberOrNull(row, 'wait_until')];
  return {
    callback: textOf(row, 'callback'),
    disabled:
      atMs === null
        ? null
        : {
            atMs,
            actor: textOrNull(row, 'disabled_by') ?? '',
            reason: textOrNull(row, 'disabled_reason') ?? '',
          },
    wait: untilMs === null ? null : { untilMs, reason: textOrNull(row, 'wait_reason') ?? '' },
    resumed: numberOf(row, 'resumed'),
  };
}
