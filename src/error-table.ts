/**
 * Every failure a user can meet, in one table: what may be tried again, how the process ends, and
 * what a person does about it. `docs/ERRORS.md` lists the same codes; test/tidy holds the two together.
 *
 * `exit` is the process's exit code when this error ends it: 1 failed while running, 2 wrong usage or
 * configuration, 3 the source, log or state cannot be used as it is. `retriable` means that the part
 * that failed may be started again from its last durable place without a person.
 */

import { ASKED_ERRORS } from './asked-errors.ts';
import type { ErrorRow } from './error-row.ts';

export const ERRORS = {
  // Usage and configuration
  CONFIG_INVALID: { retriable: false, exit: 2, cure: 'Correct the lines named above.' },
  RESTART_NEEDED: {
    retriable: false,
    exit: 2,
    cure: 'Undo what is named, or restart. Only callbacks can be changed while the process runs.',
  },
  USAGE: { retriable: false, exit: 2, cure: 'See rowcall --help.' },

  // The source, before reading
  SOURCE_UNFIT: { retriable: false, exit: 3, cure: 'Run the SQL printed with each finding.' },
  SOURCE_ACCESS_DENIED: {
    retriable: false,
    exit: 3,
    cure: 'Check user, password and grants of the account that source names (url, or user and password).',
  },
  SOURCE_UNREACHABLE: {
    retriable: true,
    exit: 1,
    cure: 'Check that the server runs and that source names it (url, or host and port).',
  },
  SOURCE_QUERY_FAILED: {
    retriable: false,
    exit: 3,
    cure: 'The server refused a statement that Rowcall needs: see its message.',
  },
  SOURCE_TLS: {
    retriable: false,
    exit: 3,
    cure: 'Check source.tls: mode, ca, and the name the certificate bears.',
  },

  // The place in the binlog
  POSITION_PURGED: {
    retriable: false,
    exit: 3,
    cure: 'Read from a server that still has it (source.urls), or restore the files. Or accept the loss: rowcall position set -c FILE --earliest shows what is skipped, then compare the tables. Raise binlog_expire_logs_seconds.',
  },
  POSITION_UNPROVEN: {
    retriable: false,
    exit: 3,
    cure: 'What stands at our place is not what we read there. Compare the servers, then rowcall position set.',
  },
  GTID_NOT_SUBSET: {
    retriable: false,
    exit: 3,
    cure: 'This server lacks transactions that we have read. Point source at a server that has them, or bring them over by hand; or rowcall position set, knowing that their changes are in the log and not on this server.',
  },
  GTIDS_NOT_SENT: {
    retriable: false,
    exit: 3,
    cure: 'rowcall position set -c FILE with --file and --position as named reads again from there: what was captured since comes once more, under the same ids. Or, knowing that their changes are lost, --gtid with the set that the server has executed.',
  },
  GTID_OUT_OF_ORDER: {
    retriable: false,
    exit: 3,
    cure: 'Two servers write into one domain at once, or a session set gtid_seq_no: give each writer a gtid_domain_id of its own and set gtid_strict_mode = ON on every server. Then rowcall position set behind the place named.',
  },
  SOURCE_BEHIND: {
    retriable: true,
    exit: 1,
    cure: 'Nothing to do while the replica catches up. If it cannot, see SHOW REPLICA STATUS there, or point source at a server that has the transactions.',
  },
  GTID_SET_INVALID: {
    retriable: false,
    exit: 3,
    cure: 'Write the set as SELECT @@gtid_executed prints it: uuid:1-5:8,uuid:3.',
  },
  GTID_MODE_CHANGED: {
    retriable: true,
    exit: 1,
    cure: 'Nothing to do: the connection is made again, and the place is kept by GTID as soon as gtid_mode is ON.',
  },
  SERVER_CHANGED: {
    retriable: false,
    exit: 3,
    cure: 'Without GTIDs a place is valid on one server only. Point source back, or rowcall position set.',
  },
  KEYLESS_TABLE_CUT: {
    retriable: false,
    exit: 3,
    cure: 'A table without a key was cut in the middle of a transaction on another server. Go back to that server, or rowcall position set.',
  },

  // The stream
  SOURCE_LOST: { retriable: true, exit: 1, cure: 'Nothing to do: the connection is made again.' },
  SOURCE_SILENT: { retriable: true, exit: 1, cure: 'Nothing to do: the connection is made again.' },
  SPOOL_FAILED: {
    retriable: true,
    exit: 1,
    cure: 'Make room in the temporary folder, or have TMPDIR name another: a compressed transaction over 16 MiB is kept there while it is read.',
  },
  BINLOG_DUMP_REFUSED: {
    retriable: true,
    exit: 1,
    cure: 'See the message of the server. If it speaks of GTID_MODE, set gtid_mode back by one step until all from before its change is read. Where another connector of our name reads from the source, the older of the two is cut off, and is then told so (SOURCE_UNFIT).',
  },
  BINLOG_CHECKSUM: {
    retriable: true,
    exit: 1,
    cure: 'If it comes again at the same place, the binlog file is damaged: check the disk, see mysqlbinlog --verify-binlog-checksum.',
  },
  BINLOG_EVENT_UNSUPPORTED: {
    retriable: false,
    exit: 3,
    cure: 'Change the setting named, then move past the place with rowcall position set.',
  },
  BINLOG_EVENT_MALFORMED: {
    retriable: false,
    exit: 3,
    cure: 'Compare with mysqlbinlog -vv of the place named; report it with the bytes.',
  },
  BINLOG_FILE_UNREADABLE: {
    retriable: false,
    exit: 2,
    cure: 'Check that the file is there, and that this account may read it.',
  },
  BINLOG_FILE_FOREIGN: {
    retriable: false,
    exit: 3,
    cure: 'Name a binlog file of MySQL 5.6 or newer or of MariaDB, as it lies in the data folder of its server.',
  },
  BINLOG_FILE_CUT: {
    retriable: false,
    exit: 3,
    cure: 'What stands before the place is whole. Copy the file again from where it came, or read it from its server.',
  },
  BINLOG_ROWS_UNREAD: {
    retriable: false,
    exit: 1,
    cure: 'Each has its reason beside it. The other events and values are whole.',
  },
  STATEMENT_LOGGED: {
    retriable: false,
    exit: 3,
    cure: 'A session changed a captured table with binlog_format other than ROW. Set ROW, have every open session reconnect (each keeps the format that it began with), then rowcall position set.',
  },
  XA_PREPARE_MISSING: {
    retriable: false,
    exit: 3,
    cure: 'Restore the binlog files of the source, or read from a server that still has them, and start again. Or bring the rows over by hand, then go on behind the XA COMMIT: rowcall position set.',
  },
  ROW_METADATA_MISSING: {
    retriable: false,
    exit: 3,
    cure: "SET PERSIST binlog_row_metadata = 'FULL' (MariaDB: SET GLOBAL, and in my.cnf); then rowcall position set past the place named.",
  },
  ROW_IMAGE_PARTIAL: {
    retriable: false,
    exit: 3,
    cure: "SET PERSIST binlog_row_image = 'FULL' (MariaDB: SET GLOBAL, and in my.cnf); sessions that set their own must follow. Then rowcall position set behind the place named.",
  },
  COLUMN_TYPE_UNSUPPORTED: {
    retriable: false,
    exit: 3,
    cure: 'Exclude the column (tables[].columns.exclude) or the table.',
  },
  COLUMN_TYPE_UNPROVEN: {
    retriable: false,
    exit: 3,
    cure: 'Look up which type the column had when the rows at this place were written, and write it into the rule of the table, such as tables: [{ match: shop.orders, columns: { types: { id: uuid } } }]; it may be uuid, inet4, inet6, vector, binary, row_end, timestamp, or with its digits time(3) or datetime(3). Then start again: nothing is lost.',
  },
  CHARSET_UNSUPPORTED: {
    retriable: false,
    exit: 3,
    cure: 'Exclude the column (tables[].columns.exclude), or convert it to utf8mb4.',
  },
  VALUE_INVALID: {
    retriable: false,
    exit: 3,
    cure: 'The stored bytes are not valid for their type. Correct the row, or exclude the column.',
  },
  TOPIC_INVALID: {
    retriable: false,
    exit: 3,
    cure: 'Kafka takes no topic of this name, or Rowcall needs it for itself. Give the table another (tables[].topic).',
  },
  TOPIC_COLLISION: {
    retriable: false,
    exit: 3,
    cure: 'Two tables lead to one topic name by replaced characters. Give one a topic of its own.',
  },
  KEY_COLUMN_MISSING: {
    retriable: false,
    exit: 3,
    cure: 'Name columns in tables[].key that the table has and its events keep (columns.include, columns.exclude); or give the table a rule of its own in front of this one.',
  },
  KEY_COLUMN_ALTERED: {
    retriable: false,
    exit: 3,
    cure: 'Rows of different keys would look alike. Take the column out of columns.mask, hash and truncate, or name another key (tables[].key).',
  },
  COLUMN_RULE_UNFIT: {
    retriable: false,
    exit: 3,
    cure: 'Give the table a rule of its own in front of this one, without the column in question.',
  },
  HIDDEN_COLUMN_RENAMED: {
    retriable: false,
    exit: 3,
    cure: 'Add the new name to columns.mask, hash, truncate or exclude of the rule of the table, beside the old one.',
  },
  OUTBOX_ROW_INVALID: {
    retriable: false,
    exit: 3,
    cure: 'Declare the columns that tables[].outbox names NOT NULL. Move past the row with rowcall position set.',
  },

  // The change log
  CHECKPOINT_LOST: {
    retriable: false,
    exit: 3,
    cure: 'The log holds records of ours but no checkpoint. Restore it, or set the place with rowcall position set.',
  },
  CHECKPOINT_UNREADABLE: {
    retriable: false,
    exit: 3,
    cure: 'Written by another version or damaged. Use the version that wrote it, or rowcall position set.',
  },
  WRITER_FENCED: {
    retriable: false,
    exit: 1,
    cure: 'Another connector of this name took over. Stop one of them.',
  },
  LOG_FULL: {
    retriable: true,
    exit: 1,
    cure: 'Let the callbacks catch up, raise log.max_size, or lower log.retention.',
  },
  LOG_UNUSABLE: {
    retriable: false,
    exit: 3,
    cure: 'Check log.path: the disk, its permissions, and that no other program writes the file.',
  },
  LOG_UNREACHABLE: {
    retriable: true,
    exit: 1,
    cure: 'Check that the brokers run, that log.brokers names them, and that log.tls and log.sasl are as they ask.',
  },
  LOG_ACCESS_DENIED: {
    retriable: false,
    exit: 3,
    cure: 'Check log.sasl, and that its account has the right named above (topic, group or transactional id).',
  },
  LOG_TLS: {
    retriable: false,
    exit: 3,
    cure: 'Check log.tls: mode, ca, and the name the certificate bears.',
  },
  LOG_UNFIT: {
    retriable: false,
    exit: 3,
    cure: 'Do what is printed with each finding; rowcall doctor shows them all.',
  },
  TOPIC_COMPACTED: {
    retriable: false,
    exit: 3,
    cure: 'Set cleanup.policy=delete: a compacted topic forgets events that callbacks have not seen.',
  },
  LOG_CORRUPT: {
    retriable: false,
    exit: 3,
    cure: 'The bytes at the place named are not what was written: check the disk, and restore the log from a copy.',
  },
  LOG_WRITE_FAILED: {
    retriable: true,
    exit: 1,
    cure: 'Check where the log is: the disk of log.path, or the brokers. It is gone on from the checkpoint.',
  },
  TOPIC_NOT_MADE: {
    retriable: false,
    exit: 3,
    cure: 'Correct log.topics as the broker says, or make the topic by hand.',
  },
  RECORD_TOO_LARGE: {
    retriable: false,
    exit: 3,
    cure: 'The row is over the limit of the log. Exclude the large column, or set log.oversize: claim-check.',
  },
  CLAIM_WRITE_FAILED: {
    retriable: true,
    exit: 1,
    cure: 'Check log.claim_check.path: the disk, its permissions, its space. It is gone on from the checkpoint.',
  },
  TOPIC_UNKNOWN: { retriable: false, exit: 3, cure: 'The log has no such topic.' },
  OFFSET_OUT_OF_RANGE: {
    retriable: false,
    exit: 3,
    cure: 'The log begins after our progress or ends before it. Restore the log, or accept the loss knowingly.',
  },
  TOPIC_RECREATED: {
    retriable: false,
    exit: 3,
    cure: 'Restore the log. Or remove the state store and, before starting, set the place with rowcall position set: else changes since then are not delivered.',
  },

  // The state store
  STATE_LOST: {
    retriable: false,
    exit: 3,
    cure: 'The log was read by callbacks whose state is not here. Restore state.path, or start with --accept-lost-state.',
  },
  STATE_FOREIGN: {
    retriable: false,
    exit: 3,
    cure: 'Another dispatcher delivers with another state store. Run one dispatcher; to move it, stop the other and bring its state file here.',
  },
  STATE_UNUSABLE: {
    retriable: false,
    exit: 3,
    cure: 'Check state.path: the disk, its permissions, its version, and that no other dispatcher uses it.',
  },
  STATE_WRITE_FAILED: {
    retriable: true,
    exit: 1,
    cure: 'Check the disk of state.path: space, permissions, errors.',
  },
  DEAD_LETTER_UNKNOWN: {
    retriable: false,
    exit: 2,
    http: 404,
    cure: 'See rowcall dead-letters list.',
  },

  // Delivery
  ENVELOPE_INVALID: {
    retriable: false,
    exit: 3,
    cure: 'The log holds a record that Rowcall did not write. Check who else writes to the topic.',
  },
  CLAIM_MISSING: {
    retriable: true,
    exit: 1,
    cure: 'Bring the file back to log.claim_check.path, or give this process the folder that the connector writes to.',
  },
  CLAIM_ALTERED: {
    retriable: true,
    exit: 1,
    cure: 'Restore the file named from a copy: its bytes are not those whose hash stands in the log.',
  },
  FORMAT_INCOMPLETE: {
    retriable: false,
    exit: 3,
    cure: 'Give the table format: debezium for what comes, and take update out of the operations of its callbacks for what is in the log.',
  },
  HANDLER_INVALID: {
    retriable: false,
    exit: 2,
    cure: 'Give a function `handle(event, context)`, or one for each operation: onInsert, onUpdate, onDelete, onRead, onTruncate.',
  },
  TARGET_REFUSED: {
    retriable: true,
    exit: 1,
    cure: 'The address is private or not https. Set deliver.allow_private_network if that is meant.',
  },
  CALLBACK_TLS: {
    retriable: false,
    exit: 2,
    cure: 'deliver.tls must name PEM files that this account may read: ca, and cert with its key.',
  },
  DELIVERY_FAILED: { retriable: true, exit: 1, cure: 'See the answer of the endpoint.' },

  // What is asked by the API and by commands
  ...ASKED_ERRORS,

  // The program
  COMPLETIONS_LISTEN: {
    retriable: false,
    exit: 2,
    cure: 'completions.listen is taken or not ours. Choose another address.',
  },
  ADMIN_LISTEN: {
    retriable: false,
    exit: 2,
    cure: 'admin.listen is taken or not ours. Choose another address.',
  },
  SHUTDOWN_TIMEOUT: {
    retriable: false,
    exit: 1,
    cure: 'Stopping took longer than shutdown_timeout. Nothing is lost; what was in flight may come again.',
  },
  INTERNAL: {
    retriable: false,
    exit: 1,
    cure: 'A defect of Rowcall. Report it with the lines above.',
  },
} as const satisfies Record<string, ErrorRow>;
