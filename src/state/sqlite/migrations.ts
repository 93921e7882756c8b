/** The tables of the state store, as numbered steps that only go forward. */

/**
 * Step n makes format n + 1 of format n, inside one transaction with all others that are due. A step
 * that was released is never edited: a change of the tables is a new step at the end.
 *
 * Format 1. The constraints of `cursors` are the promise G6 itself: a commit after which the books of a
 * callback and partition did not balance is refused by the file, whoever wrote it.
 * `cursors.beyond`: see offset-runs.ts. `lanes.id` is AUTOINCREMENT so that an id is never used again:
 * an operator who types the id of a lane that is gone must not meet another one. The head's offset and
 * the last one stand in the lane, so that finding what is due touches no event.
 * `lane_events.value` is the last column: reading the others does not fetch its pages. It holds the first
 * chunk of `value_bytes`; the others are in `lane_chunks`, from n = 1 on.
 *
 * Format 2. A parked lane is never due: it stands in no index of due times. `lanes.skip_offset` is the head that a
 * person asked to skip. The event of a dead letter stays in `lane_events`, under the negative id of the dead letter as
 * its lane: setting 64 MiB aside then moves no byte of them.
 *
 * Format 3. `lanes.last_coalesces`: whether a newer event may take the last one's place, unless that is the head.
 *
 * Format 4. `callback_holds`: what keeps a callback as a whole from being called, at most one row each.
 *
 * Format 5. A lane is awaiting where `awaiting_attempt` is the attempt that was answered with 202; its `state` goes on as
 * `retrying` or `parked`, and `next_attempt_at` is when something must be heard. `ending` is JSON: what was told, until the
 * dispatcher settles it. `completions` remembers what was told; `result` is there only where it came before the answer.
 *
 * Format 6. `callbacks` are those made through the API; `callback_versions.written` is null of those that stand in the
 * file. `removed_callbacks` stand there until nothing of them is left, so that a removal goes on after a restart.
 *
 * Format 7. `cursors.handed_over`: the books of what other callbacks handed over, which are no place in the log.
 * `lane_events.failed`: JSON of what such an event came to before; read together with the value only.
 *
 * Format 8. `version` is that of the callback which made the last attempt.
 *
 * Format 9. Skips are looked for by themselves: nothing that is due is taken while a callback is disabled.
 *
 * Format 10. `resends`: dead letters that persons had sent again, with their own books, which the file holds to balance;
 * `resend_letters`: those that wait for it. A resend of one dead letter has `dead_letter`, and nothing to look for.
 *
 * Format 12. `settlements`: statements of `on_settled` that have not run. Of a key the one of the lowest id alone has
 * `next_at`; `error` without `parameters` says why it cannot run.
 *
 * Format 13. `unmirrored_letters`: dead letters as they were when they were given up, until they are mirrored; `mirroring`
 * is one row: whether letters are taken, and, while they are not, up to which id they were. The event stays in
 * `lane_events` until neither the dead letter nor its row here is left.
 *
 * Format 14. `replays`: one at a time of a callback has not ended; `plan` is JSON of what was asked for, and `books`, of
 * one that has ended, what its cursors came to. Until then these are `cursors` under the replay's own name.
 *
 * Format 15. `lanes.not_before`: the endpoint wants nothing of the key before (Retry-After), whichever event is the head.
 *
 * Format 16. `skipped_events`: what was passed over, with the line of the audit log that asked for it; an event of which
 * that was asked may have been delivered after all.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE cursors (
    id INTEGER PRIMARY KEY,
    callback TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    topic_id TEXT NOT NULL,
    start_offset INTEGER NOT NULL,
    next INTEGER NOT NULL,
    beyond TEXT NOT NULL DEFAULT '',
    read INTEGER NOT NULL DEFAULT 0,
    filtered INTEGER NOT NULL DEFAULT 0,
    matched INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    superseded INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    parked INTEGER NOT NULL DEFAULT 0,
    awaiting INTEGER NOT NULL DEFAULT 0,
    retrying INTEGER NOT NULL DEFAULT 0,
    pending INTEGER NOT NULL DEFAULT 0,
    UNIQUE (callback, topic, partition),
    CONSTRAINT next_is_not_before_start CHECK (next >= start_offset AND start_offset >= 0),
    CONSTRAINT counts_are_not_negative CHECK (
      min(read, filtered, matched, delivered, superseded, skipped, dead, parked, awaiting, retrying, pending) >= 0),
    CONSTRAINT read_is_matched_and_filtered CHECK (read = matched + filtered),
    CONSTRAINT matched_is_what_became_of_it CHECK (
      matched = delivered + superseded + skipped + dead + parked + awaiting + retrying + pending)
  ) STRICT;
  CREATE TABLE lanes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cursor INTEGER NOT NULL REFERENCES cursors (id),
    callback TEXT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    depth INTEGER NOT NULL CHECK (depth > 0),
    bytes INTEGER NOT NULL CHECK (bytes > 0),
    head_offset INTEGER NOT NULL,
    last_offset INTEGER NOT NULL,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    first_attempt_at REAL,
    next_attempt_at REAL NOT NULL,
    last_error TEXT,
    UNIQUE (callback, topic, key)
  ) STRICT;
  CREATE INDEX lanes_by_due_time ON lanes (callback, next_attempt_at, id);
  CREATE TABLE lane_events (
    seq INTEGER PRIMARY KEY,
    lane INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    operation TEXT NOT NULL,
    timestamp_ms REAL NOT NULL,
    bytes INTEGER NOT NULL,
    value_bytes INTEGER,
    value BLOB,
    UNIQUE (lane, offset)
  ) STRICT;
  CREATE TABLE lane_chunks (
    event INTEGER NOT NULL, n INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (event, n)) STRICT;
  `,
  `
  ALTER TABLE lanes ADD COLUMN state TEXT NOT NULL DEFAULT 'retrying' CHECK (state IN ('retrying', 'parked'));
  ALTER TABLE lanes ADD COLUMN used_attempts INTEGER NOT NULL DEFAULT 0 CHECK (used_attempts BETWEEN 0 AND attempts);
  ALTER TABLE lanes ADD COLUMN cause TEXT CHECK (cause IN ('endpoint', 'system'));
  ALTER TABLE lanes ADD COLUMN skip_offset INTEGER;
  UPDATE lanes SET used_attempts = attempts, cause = iif(attempts > 0, 'endpoint', NULL);
  DROP INDEX lanes_by_due_time;
  CREATE INDEX lanes_by_due_time ON lanes (callback, next_attempt_at, id) WHERE state = 'retrying';
  CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cursor INTEGER NOT NULL REFERENCES cursors (id),
    callback TEXT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    offset INTEGER NOT NULL,
    attempts INTEGER NOT NULL CHECK (attempts > 0),
    first_attempt_at REAL NOT NULL,
    died_at REAL NOT NULL,
    error TEXT NOT NULL,
    cause TEXT NOT NULL CHECK (cause IN ('endpoint', 'system'))
  ) STRICT;
  CREATE INDEX dead_letters_by_callback ON dead_letters (callback, id);
  CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    callback TEXT NOT NULL,
    topic TEXT,
    key TEXT,
    event_id TEXT,
    reason TEXT NOT NULL
  ) STRICT;
  `,
  `
  ALTER TABLE lanes ADD COLUMN last_coalesces INTEGER NOT NULL DEFAULT 0 CHECK (last_coalesces IN (0, 1));
  `,
  `
  CREATE TABLE callback_holds (
    callback TEXT PRIMARY KEY,
    disabled_at REAL,
    disabled_by TEXT,
    disabled_reason TEXT,
    wait_until REAL,
    wait_reason TEXT,
    resumed INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE lanes ADD COLUMN awaiting_attempt INTEGER CHECK (awaiting_attempt > 0);
  ALTER TABLE lanes ADD COLUMN deadline_at REAL;
  ALTER TABLE lanes ADD COLUMN heartbeat_ms REAL;
  ALTER TABLE lanes ADD COLUMN status_url TEXT;
  ALTER TABLE lanes ADD COLUMN ending TEXT;
  DROP INDEX lanes_by_due_time;
  CREATE INDEX lanes_by_due_time ON lanes (callback, next_attempt_at, id)
    WHERE state = 'retrying' AND awaiting_attempt IS NULL;
  CREATE INDEX lanes_by_awaited_time ON lanes (callback, next_attempt_at, id) WHERE awaiting_attempt IS NOT NULL;
  CREATE UNIQUE INDEX lanes_by_awaited_head ON lanes (cursor, head_offset) WHERE awaiting_attempt IS NOT NULL;
  CREATE TABLE completions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cursor INTEGER NOT NULL REFERENCES cursors (id),
    offset INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    late INTEGER NOT NULL CHECK (late IN (0, 1)),
    event_id TEXT NOT NULL,
    at REAL NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('succeeded', 'failed', 'overdue')),
    retryable INTEGER NOT NULL CHECK (retryable IN (0, 1)),
    reason TEXT,
    result TEXT,
    UNIQUE (cursor, offset, attempt, late)
  ) STRICT;
  `,
  `
  CREATE TABLE callbacks (name TEXT PRIMARY KEY, version INTEGER NOT NULL, written TEXT NOT NULL) STRICT;
  CREATE TABLE callback_versions (
    callback TEXT NOT NULL,
    version INTEGER NOT NULL,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    shown TEXT NOT NULL,
    written TEXT,
    digest TEXT NOT NULL,
    PRIMARY KEY (callback, version)
  ) STRICT;
  CREATE TABLE removed_callbacks (name TEXT PRIMARY KEY, at REAL NOT NULL) STRICT;
  CREATE TABLE kept_answers (
    key TEXT PRIMARY KEY,
    at REAL NOT NULL,
    request TEXT NOT NULL,
    status INTEGER NOT NULL,
    headers TEXT NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  `,
  `
  ALTER TABLE cursors ADD COLUMN handed_over INTEGER NOT NULL DEFAULT 0 CHECK (handed_over IN (0, 1));
  ALTER TABLE lane_events ADD COLUMN failed TEXT;
  `,
  `
  ALTER TABLE lanes ADD COLUMN version INTEGER;
  ALTER TABLE dead_letters ADD COLUMN version INTEGER;
  `,
  `
  CREATE INDEX lanes_by_skip ON lanes (callback, id) WHERE skip_offset IS NOT NULL;
  `,
  `
  CREATE TABLE resends (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    callback TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'cancelled', 'done')),
    dead_letter INTEGER,
    filter TEXT,
    up_to INTEGER NOT NULL,
    scanned_to INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    data BLOB,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked_at REAL NOT NULL,
    ended_at REAL,
    CONSTRAINT resends_are_not_negative CHECK (min(taken, waiting, delivered, failed, cancelled) >= 0),
    CONSTRAINT taken_is_what_became_of_it CHECK (taken = waiting + delivered + failed + cancelled)
  ) STRICT;
  CREATE INDEX running_resends ON resends (callback, id) WHERE state = 'running';
  CREATE TABLE resend_letters (
    dead_letter INTEGER PRIMARY KEY,
    resend INTEGER NOT NULL REFERENCES resends (id),
    used_attempts INTEGER NOT NULL DEFAULT 0,
    first_attempt_at REAL,
    next_attempt_at REAL NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX resend_letters_by_due_time ON resend_letters (resend, next_attempt_at, dead_letter);
  CREATE INDEX dead_letters_by_place ON dead_letters (cursor, offset);
  `,
  `
  ALTER TABLE lanes ADD COLUMN suspect INTEGER NOT NULL DEFAULT 0 CHECK (suspect IN (0, 1, 2));
  `,
  `
  CREATE TABLE settlements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    callback TEXT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    event_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('delivered', 'dead', 'skipped')),
    at REAL NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    next_at REAL,
    error TEXT,
    parameters TEXT
  ) STRICT;
  CREATE INDEX settlements_by_key ON settlements (callback, topic, key, id);
  CREATE INDEX settlements_by_due_time ON settlements (callback, next_at, id) WHERE next_at IS NOT NULL;
  `,
  `
  CREATE TABLE unmirrored_letters (
    id INTEGER PRIMARY KEY,
    callback TEXT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    first_attempt_at REAL NOT NULL,
    died_at REAL NOT NULL,
    error TEXT NOT NULL,
    cause TEXT NOT NULL,
    version INTEGER
  ) STRICT;
  CREATE INDEX unmirrored_letters_by_callback ON unmirrored_letters (callback, id, died_at);
  CREATE TABLE mirroring (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    is_on INTEGER NOT NULL DEFAULT 0 CHECK (is_on IN (0, 1)),
    taken_to INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  INSERT INTO mirroring (only) VALUES (1);
  `,
  `
  CREATE TABLE replays (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    callback TEXT NOT NULL,
    version INTEGER NOT NULL,
    plan TEXT NOT NULL,
    total INTEGER,
    state TEXT NOT NULL DEFAULT 'running'
      CHECK (state IN ('running', 'paused', 'cancelling', 'cancelled', 'done')),
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked_at REAL NOT NULL,
    why TEXT,
    ended_at REAL CHECK ((ended_at IS NULL) = (state IN ('running', 'paused', 'cancelling'))),
    books TEXT CHECK ((books IS NULL) = (ended_at IS NULL))
  ) STRICT;
  CREATE UNIQUE INDEX open_replays ON replays (callback) WHERE ended_at IS NULL;
    `,
  `
  ALTER TABLE lanes ADD COLUMN not_before REAL NOT NULL DEFAULT 0;
  `,
  `
  CREATE INDEX audit_of_skips ON audit (callback, event_id) WHERE action = 'lane-skip';
  CREATE TABLE skipped_events (
    cursor INTEGER NOT NULL, offset INTEGER NOT NULL, audit INTEGER NOT NULL, PRIMARY KEY (cursor, offset)) STRICT;
  `,
];
