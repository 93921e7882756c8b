/** Callbacks made through the API and the versions of all, in the database. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import type { Row } from '../../shared/sqlite-row.ts';
import { numberOf, textOf, textOrNull } from '../../shared/sqlite-row.ts';
import { CallbackPurge } from './callback-purge.ts';
import {
  type CallbackVersion,
  type KeptAnswer,
  type NewVersion,
  type RegisteredCallback,
  requireVersion,
} from '../callback-store.ts';

/** More than ten, so that a day of trying leaves yesterday's. */
const KEPT_VERSIONS = 50;

/** Invariant: what is registered is the version of that number, written in the same transaction. */
export class CallbackTable {
  readonly #sql;
  readonly #purge: CallbackPurge;

  constructor(db: DatabaseSync) {
    this.#sql = prepareAll(db);
    this.#purge = new CallbackPurge(db);
  }

  registered(): RegisteredCallback[] {
    return this.#sql.registered.all().map((row) => ({
      name: textOf(row, 'name'),
      version: numberOf(row, 'version'),
      written: textOf(row, 'written'),
    }));
  }

  /** @throws RowcallError CALLBACK_CHANGED, CALLBACK_EXISTS, CALLBACK_UNKNOWN */
  register(next: NewVersion, expected: number | null | undefined): number {
    requireVersion(next.name, this.#current(next.name), expected);
    const version = this.#add(next);
    this.#sql.save.run(next.name, version, next.written);
    return version;
  }

  note(next: NewVersion): number {
    const newest = this.#sql.newest.get(next.name);
    if (newest !== undefined && textOf(newest, 'digest') === next.digest) {
      return numberOf(newest, 'version');
    }
    return this.#add(next);
  }

  versions(name: string): CallbackVersion[] {
    return this.#sql.versions.all(name).map(versionOf);
  }

  /** @throws RowcallError CALLBACK_CHANGED */
  remove(name: string, atMs: number, expected: number | undefined): void {
    requireVersion(name, this.#current(name), expected);
    this.#sql.unregister.run(name);
    this.#sql.dropSecrets.run(name);
    this.#sql.markRemoved.run(name, atMs);
  }

  removed(): string[] {
    return this.#sql.removed.all().map((row) => textOf(row, 'name'));
  }

  forget(name: string): void {
    this.#sql.forget.run(name);
  }

  /** Its lanes, dead letters and cursors; @returns whether there may be more */
  purge(name: string, limit: number): boolean {
    return this.#purge.step(name, limit);
  }

  /** All lanes of a callback at once: of one whose lanes are small. */
  dropLanes(name: string): void {
    this.#sql.chunksOf.run(name);
    this.#sql.eventsOf.run(name);
    this.#sql.lanesOf.run(name);
  }

  keptAnswer(key: string, sinceMs: number): KeptAnswer | null {
    const row = this.#sql.answer.get(key, sinceMs);
    if (row === undefined) return null;
    return {
      request: textOf(row, 'request'),
      status: numberOf(row, 'status'),
      headers: textOf(row, 'headers'),
      body: textOf(row, 'body'),
    };
  }

  keepAnswer(key: string, answer: KeptAnswer, atMs: number, sinceMs: number): void {
    this.#sql.dropAnswers.run(sinceMs);
    const { request, status, headers, body } = answer;
    this.#sql.keepAnswer.run(key, atMs, request, status, headers, body);
  }

  #current(name: string): number | null {
    const row = this.#sql.find.get(name);
    return row === undefined ? null : numberOf(row, 'version');
  }

  #add(next: NewVersion): number {
    const { name, atMs, actor, reason, shown, written, digest } = next;
    const newest = this.#sql.newest.get(name);
    const version = newest === undefined ? 1 : numberOf(newest, 'version') + 1;
    this.#sql.insert.run(name, version, atMs, actor, reason, shown, written, digest);
    this.#sql.dropOld.run(name, version - KEPT_VERSIONS);
    return version;
  }
}

function versionOf(row: Row): CallbackVersion {
  return {
    callback: textOf(row, 'callback'),
    version: numberOf(row, 'version'),
    atMs: numberOf(row, 'at'),
    actor: textOf(row, 'actor'),
    reason: textOf(row, 'reason'),
    shown: textOf(row, 'shown'),
    written: textOrNull(row, 'written'),
    digest: textOf(row, 'digest'),
  };
}

function prepareAll(db: DatabaseSync) {
  const prepare = (sql: string): StatementSync => db.prepare(sql);
  return {
    registered: prepare('SELECT * FROM callbacks ORDER BY name'),
    find: prepare('SELECT version FROM callbacks WHERE name = ?'),
    save: prepare('INSERT OR REPLACE INTO callbacks (name, version, written) VALUES (?, ?, ?)'),
    unregister: prepare('DELETE FROM callbacks WHERE name = ?'),
    newest: prepare(
      'SELECT version, digest FROM callback_versions WHERE callback = ? ORDER BY version DESC LIMIT 1',
    ),
    insert: prepare(
      `INSERT INTO callback_versions (callback, version, at, actor, reason, shown, written, digest)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    dropOld: prepare('DELETE FROM callback_versions WHERE callback = ? AND version <= ?'),
    versions: prepare('SELECT * FROM callback_versions WHERE callback = ? ORDER BY version DESC'),
    // The digest is of the secrets as well.
    dropSecrets: prepare(
      "UPDATE callback_versions SET written = NULL, digest = '' WHERE callback = ?",
    ),
    markRemoved: prepare('INSERT OR REPLACE INTO removed_callbacks (name, at) VALUES (?, ?)'),
    removed: prepare('SELECT name FROM removed_callbacks ORDER BY name'),
    forget: prepare('DELETE FROM removed_callbacks WHERE name = ?'),
    chunksOf: prepare(
      `DELETE FROM lane_chunks WHERE event IN (
         SELECT seq FROM lane_events WHERE lane IN (SELECT id FROM lanes WHERE callback = ?))`,
    ),
    eventsOf: prepare(
      'DELETE FROM lane_events WHERE lane IN (SELECT id FROM lanes WHERE callback = ?)',
    ),
    lanesOf: prepare('DELETE FROM lanes WHERE callback = ?'),
    answer: prepare('SELECT * FROM kept_answers WHERE key = ? AND at > ?'),
    dropAnswers: prepare('DELETE FROM kept_answers WHERE at <= ?'),
    keepAnswer: prepare(
      `INSERT INTO kept_answers (key, at, request, status, headers, body) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET at = excluded.at, request = excluded.request, status = excluded.status,
         headers = excluded.headers, body = excluded.body
       WHERE kept_answers.status NOT BETWEEN 200 AND 299`,
    ),
  };
}
