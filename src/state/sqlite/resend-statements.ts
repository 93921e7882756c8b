/** The SQL of resends. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

export interface ResendStatements {
  readonly insert: StatementSync;
  readonly byId: StatementSync;
  readonly list: StatementSync;
  /** Of a callback: single ones first, since they would wait for all of a large one. */
  readonly running: StatementSync;
  readonly setState: StatementSync;
  /** Adds to taken, waiting, delivered, failed, cancelled. */
  readonly counted: StatementSync;
  readonly scanned: StatementSync;
  /** Ends it where nothing is left to do. */
  readonly end: StatementSync;
  readonly take: StatementSync;
  readonly remove: StatementSync;
  readonly removeAll: StatementSync;
  /** Which resend a dead letter waits in. */
  readonly holder: StatementSync;
  readonly again: StatementSync;
  readonly postpone: StatementSync;
  readonly waiting: StatementSync;
  readonly first: StatementSync;
  readonly letter: StatementSync;
  /** With `laned`: its key has a lane. */
  readonly due: StatementSync;
}

export function resendStatements(db: DatabaseSync): ResendStatements {
  return {
    insert: db.prepare(
      `INSERT INTO resends (callback, dead_letter, filter, up_to, total, data, actor, reason, asked_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    byId: db.prepare('SELECT * FROM resends WHERE id = ?'),
    list: db.prepare(
      `SELECT * FROM resends WHERE id < :before AND (:callback IS NULL OR +callback = :callback)
       ORDER BY id DESC LIMIT :limit`,
    ),
    running: db.prepare(
      `SELECT * FROM resends WHERE callback = ? AND state = 'running' ORDER BY dead_letter IS NULL, id`,
    ),
    setState: db.prepare('UPDATE resends SET state = ?, ended_at = ? WHERE id = ?'),
    counted: db.prepare(
      `UPDATE resends SET taken = taken + ?, waiting = waiting + ?, delivered = delivered + ?,
       failed = failed + ?, cancelled = cancelled + ? WHERE id = ?`,
    ),
    scanned: db.prepare('UPDATE resends SET scanned_to = ? WHERE id = ?'),
    end: db.prepare(
      `UPDATE resends SET state = 'done', ended_at = ?
       WHERE id = ? AND state IN ('running', 'paused') AND waiting = 0 AND scanned_to >= up_to`,
    ),
    take: db.prepare(
      `INSERT INTO resend_letters (dead_letter, resend) VALUES (?, ?) ON CONFLICT (dead_letter) DO NOTHING`,
    ),
    remove: db.prepare('DELETE FROM resend_letters WHERE dead_letter = ? AND resend = ?'),
    removeAll: db.prepare('DELETE FROM resend_letters WHERE resend = ?'),
    holder: db.prepare('SELECT resend FROM resend_letters WHERE dead_letter = ?'),
    again: db.prepare(
      `UPDATE resend_letters SET used_attempts = ?, first_attempt_at = ?, next_attempt_at = ?
       WHERE dead_letter = ? AND resend = ?`,
    ),
    postpone: db.prepare('UPDATE resend_letters SET next_attempt_at = ? WHERE dead_letter = ?'),
    waiting: db.prepare(
      `SELECT count(*) AS n FROM (
         SELECT 1 FROM resend_letters WHERE resend = ? AND next_attempt_at <= ? LIMIT ?)`,
    ),
    first: db.prepare(
      'SELECT next_attempt_at FROM resend_letters WHERE resend = ? ORDER BY next_attempt_at LIMIT 1',
    ),
    letter: db.prepare('SELECT * FROM resend_letters WHERE dead_letter = ?'),
    due: db.prepare(
      `SELECT r.*, EXISTS (
         SELECT 1 FROM lanes l WHERE l.callback = d.callback AND l.topic = d.topic AND l.key = d.key) AS laned
       FROM resend_letters r JOIN dead_letters d ON d.id = r.dead_letter
       WHERE r.resend = ? AND r.next_attempt_at <= ? ORDER BY r.next_attempt_at, r.dead_letter LIMIT ?`,
    ),
  };
}
