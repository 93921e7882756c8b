/** The part of the table of errors that is about what is asked of a running daemon: by the API, a command, a completion. */

import type { ErrorRow } from './error-row.ts';

const SAME_URL = 'Post to rowcall-completion-url exactly as the request carried it.';

export const ASKED_ERRORS = {
  LANE_UNKNOWN: { retriable: false, exit: 2, http: 404, cure: 'See rowcall lanes list.' },
  LANE_HEAD_CHANGED: {
    retriable: false,
    exit: 2,
    http: 409,
    cure: 'Look at the lane again (rowcall lanes show), and name the event that is its head now if that one is meant.',
  },
  CALLBACK_INVALID: { retriable: false, exit: 2, http: 422, cure: 'Correct what is named above.' },
  CALLBACK_EXISTS: {
    retriable: false,
    exit: 2,
    http: 409,
    cure: 'Change it, or choose another name.',
  },
  CALLBACK_CHANGED: {
    retriable: false,
    exit: 2,
    http: 412,
    cure: 'Read it again, and send the ETag that it bears now as If-Match.',
  },
  CALLBACK_READ_ONLY: {
    retriable: false,
    exit: 2,
    http: 409,
    cure: 'It stands in the configuration file: change it there, then send SIGHUP.',
  },
  CALLBACK_PENDING: {
    retriable: false,
    exit: 2,
    http: 409,
    cure: 'Nothing of it is delivered any more once it is removed. If that is meant: ?confirm=true, or --yes.',
  },
  VERSION_UNKNOWN: {
    retriable: false,
    exit: 2,
    http: 404,
    cure: 'See GET /v1/callbacks/{name}/versions.',
  },
  IDEMPOTENCY_KEY_BUSY: { retriable: true, exit: 1, http: 409, cure: 'Wait, then ask again.' },
  IDEMPOTENCY_KEY_CUT_OFF: {
    retriable: false,
    exit: 2,
    http: 409,
    cure: 'Look whether it was done (GET /v1/audit tells who did what), then ask with another Idempotency-Key, or not at all.',
  },
  IDEMPOTENCY_KEY_REUSED: {
    retriable: false,
    exit: 2,
    http: 422,
    cure: 'Use another Idempotency-Key for another request; a key is kept for 24 hours.',
  },
  CALLBACK_UNKNOWN: { retriable: false, exit: 2, http: 404, cure: 'See GET /v1/callbacks.' },
  EVENT_UNKNOWN: {
    retriable: false,
    exit: 2,
    http: 404,
    cure: 'See rowcall events; the retention of the log may have taken it.',
  },
  TAIL_FULL: {
    retriable: true,
    exit: 1,
    http: 503,
    cure: 'End another rowcall tail, or GET /v1/tail, of this process.',
  },
  API_CLOSED: {
    retriable: false,
    exit: 2,
    http: 403,
    cure: 'Ask by rowcall … -c FILE, as the user that runs the daemon; or configure admin.tokens, and start it again.',
  },
  API_UNAUTHENTICATED: {
    retriable: false,
    exit: 2,
    http: 401,
    cure: 'Send Authorization: Bearer with a token of admin.tokens.',
  },
  API_FORBIDDEN: {
    retriable: false,
    exit: 2,
    http: 403,
    cure: 'Use a token of that role, or raise the role of this one in admin.tokens.',
  },
  API_REQUEST_INVALID: { retriable: false, exit: 2, http: 400, cure: 'See /openapi.json.' },
  DAEMON_UNREACHABLE: {
    retriable: true,
    exit: 1,
    cure: 'Check that rowcall run or deliver runs, and that admin.listen, or --url, is its address.',
  },
  NOT_DELIVERING: {
    retriable: true,
    exit: 1,
    http: 409,
    cure: 'Ask the process that delivers: rowcall run, or rowcall deliver.',
  },
  COMPLETION_UNKNOWN: { retriable: false, exit: 1, http: 404, cure: SAME_URL },
  COMPLETION_FORGED: { retriable: false, exit: 1, http: 401, cure: SAME_URL },
  COMPLETION_LATE: { retriable: false, exit: 1, http: 409, cure: 'Nothing to do: it has ended.' },
  COMPLETION_INVALID: { retriable: false, exit: 1, http: 400, cure: 'See docs/ASYNC.md.' },
  COMPLETIONS_CLOSED: { retriable: true, exit: 1, http: 503, cure: 'Post it again.' },
  ON_SETTLED_FAILED: {
    retriable: true,
    exit: 1,
    cure: 'See docs/ON-SETTLED.md: it is tried again by itself.',
  },
  LETTER_NOT_MIRRORED: {
    retriable: true,
    exit: 1,
    cure: 'What the line names: it is tried again by itself, and nothing of it is lost (docs/KAFKA.md).',
  },
  SETTLEMENT_UNKNOWN: {
    retriable: false,
    exit: 2,
    http: 404,
    cure: 'rowcall settlements list, or GET /v1/settlements, lists those that wait (docs/ON-SETTLED.md).',
  },
  RESEND_UNKNOWN: {
    retriable: false,
    exit: 2,
    http: 404,
    cure: 'rowcall dead-letters resends list, or GET /v1/resends, lists them.',
  },
  RESEND_PENDING: {
    retriable: false,
    exit: 2,
    http: 409,
    cure: 'Wait for the resend that has it, or cancel that one; GET /v1/resends lists them.',
  },
  RESEND_AWAITED: {
    retriable: false,
    exit: 2,
    http: 409,
    cure: 'Take deliver.async away from the callback for as long as the resend lasts; its 202 then counts as delivered.',
  },
  RESEND_ENDED: {
    retriable: false,
    exit: 2,
    http: 409,
    cure: 'Ask for a new one: what it did not deliver are still dead letters.',
  },
  RESEND_COUNT_CHANGED: {
    retriable: false,
    exit: 2,
    http: 409,
    cure: 'Count again (dry_run), look at them, and resend what is counted then.',
  },
  REPLAY_UNKNOWN: {
    retriable: false,
    exit: 2,
    http: 404,
    cure: 'rowcall replay list, or GET /v1/replays, lists them.',
  },
  REPLAY_RUNNING: {
    retriable: false,
    exit: 2,
    http: 409,
    cure: 'Of a callback one replay runs at a time: wait for it, or cancel it with rowcall replay cancel.',
  },
  REPLAY_ENDED: {
    retriable: false,
    exit: 2,
    http: 409,
    cure: 'Start a new one; rowcall replay show tells how far this one came.',
  },
  REPLAY_REFUSED: {
    retriable: false,
    exit: 2,
    http: 409,
    cure: 'docs/REPLAY.md tells what cannot be replayed, and what to do instead.',
  },
  REPLAY_GONE: {
    retriable: false,
    exit: 2,
    http: 409,
    cure: 'Events that were asked for are in the log no more. Say --allow-missing (allow_missing) to replay those that are left.',
  },
  REPLAY_STALE: {
    retriable: false,
    exit: 2,
    http: 409,
    cure: 'Ask for a plan again (dry_run), and start with its ranges.',
  },
} as const satisfies Record<string, ErrorRow>;
