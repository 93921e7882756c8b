/** Every metric with its type and its meaning: docs/METRICS.md says the same, and a test holds them together. */

export const METRICS = {
  rowcall_ready: { type: 'gauge', help: '1 when /readyz answers 200.' },
  rowcall_resident_memory_bytes: { type: 'gauge', help: 'Resident memory of the process.' },
  rowcall_cpu_seconds_total: { type: 'counter', help: 'Processor time of the process.' },
  rowcall_log_bytes: { type: 'gauge', help: 'Size of the change log.' },
  rowcall_log_max_bytes: {
    type: 'gauge',
    help: 'Size at which capture pauses; absent where the log has no limit of its own.',
  },
  rowcall_source_findings: {
    type: 'gauge',
    help: 'Settings of the source that do not fit, as of the last look.',
  },
  rowcall_capture_streaming: { type: 'gauge', help: '1 while the binlog is being read.' },
  rowcall_capture_events_total: { type: 'counter', help: 'Binlog events read.' },
  rowcall_capture_bytes_total: {
    type: 'counter',
    help: 'Bytes of binlog events read, as they are uncompressed.',
  },
  rowcall_capture_rows_total: { type: 'counter', help: 'Row changes of captured tables read.' },
  rowcall_capture_filtered_row_events_total: {
    type: 'counter',
    help: 'Row events of tables that no rule captures.',
  },
  rowcall_capture_transactions_total: { type: 'counter', help: 'Transactions read to their end.' },
  rowcall_capture_records_total: { type: 'counter', help: 'Records appended to the log.' },
  rowcall_capture_appends_total: { type: 'counter', help: 'Appends to the log.' },
  rowcall_capture_reconnects_total: { type: 'counter', help: 'Connections to the source lost.' },
  rowcall_capture_log_full: { type: 'gauge', help: '1 while the full log holds capture back.' },
  rowcall_capture_prepared_transactions: {
    type: 'gauge',
    help: 'XA transactions that are prepared, neither committed nor rolled back.',
  },
  rowcall_capture_oldest_prepared_age_seconds: {
    type: 'gauge',
    help: 'Since the oldest of them was prepared; the binlog is needed from there on.',
  },
  rowcall_capture_silence_seconds: {
    type: 'gauge',
    help: 'Since anything came from the source, heartbeats included.',
  },
  rowcall_capture_position_bytes: {
    type: 'gauge',
    help: 'Place reached in the binlog file of the label.',
  },
  rowcall_capture_last_commit_timestamp_seconds: {
    type: 'gauge',
    help: 'Commit time of the newest transaction read.',
  },
  rowcall_capture_last_commit_age_seconds: {
    type: 'gauge',
    help: 'Age of the newest transaction read; grows while the source is idle.',
  },
  rowcall_capture_source_info: {
    type: 'gauge',
    help: '1 for the server that is read, named by the labels.',
  },
  rowcall_capture_binlog_retention_seconds: {
    type: 'gauge',
    help: 'How long the source keeps a binlog file, by age or size; +Inf where none expires.',
  },
  rowcall_capture_unread_bytes: {
    type: 'gauge',
    help: 'Binlog that the source has and that is not read yet.',
  },
  rowcall_capture_purge_forecast_seconds: {
    type: 'gauge',
    help: 'Until the source may purge binlog that is needed; +Inf while reading keeps ahead.',
  },
  rowcall_capture_purge_left_bytes: {
    type: 'gauge',
    help: 'What the source can write until its size limit purges what is needed; +Inf without one.',
  },
  rowcall_deliver_commits_total: { type: 'counter', help: 'Transactions of the state store.' },
  rowcall_callback_delivered_total: { type: 'counter', help: 'Events delivered.' },
  rowcall_callback_failed_attempts_total: { type: 'counter', help: 'Attempts that failed.' },
  rowcall_callback_shape_failures_total: {
    type: 'counter',
    help: 'Attempts not made: when or payload has no value for the event.',
  },
  rowcall_callback_dead_letters_total: {
    type: 'counter',
    help: 'Events set aside as dead letters.',
  },
  rowcall_callback_dead_letters_unmirrored: {
    type: 'gauge',
    help: 'Dead letters that have yet to be written to their topic.',
  },
  rowcall_callback_dead_letters_unmirrored_age_seconds: {
    type: 'gauge',
    help: 'Since the first of them was given up.',
  },
  rowcall_callback_dead_letters_mirrored_total: {
    type: 'counter',
    help: 'Dead letters written to their topic.',
  },
  rowcall_callback_dead_letter_mirror_failures_total: {
    type: 'counter',
    help: 'Tries to write dead letters to their topic that failed.',
  },
  rowcall_callback_superseded_total: {
    type: 'counter',
    help: 'Events that gave way to newer ones of their keys.',
  },
  rowcall_callback_awaiting: {
    type: 'gauge',
    help: 'Events answered with 202 whose end is awaited.',
  },
  rowcall_callback_parked_events: {
    type: 'gauge',
    help: 'Events of parked keys: nothing of them is sent until a person acts.',
  },
  rowcall_callback_oldest_due_age_seconds: {
    type: 'gauge',
    help: 'For how long the oldest retry is past the time it was planned for; 0 where none is.',
  },
  rowcall_callback_overdue_total: {
    type: 'counter',
    help: 'Attempts answered with 202 of which nothing was heard in time.',
  },
  rowcall_callback_settlements_pending: {
    type: 'gauge',
    help: 'Statements of on_settled that have not run.',
  },
  rowcall_callback_settlements_failing: {
    type: 'gauge',
    help: 'Those of them that were tried in vain, or cannot be tried.',
  },
  rowcall_callback_settlements_written_total: {
    type: 'counter',
    help: 'Statements of on_settled that have run.',
  },
  rowcall_callback_settlement_failures_total: {
    type: 'counter',
    help: 'Tries of a statement of on_settled that failed.',
  },
  rowcall_callback_in_flight: { type: 'gauge', help: 'Attempts in flight.' },
  rowcall_callback_window_events: {
    type: 'gauge',
    help: 'Events read whose outcome is not durable yet.',
  },
  rowcall_callback_lanes: {
    type: 'gauge',
    help: 'Keys that wait for a retry, for the end of what was answered with 202, or, parked, for a person.',
  },
  rowcall_callback_lane_events: { type: 'gauge', help: 'Events in lanes.' },
  rowcall_callback_lane_bytes: { type: 'gauge', help: 'Bytes of the events in lanes.' },
  rowcall_callback_lanes_full: { type: 'gauge', help: '1 while full lanes stop the cursor.' },
  rowcall_callback_paused: {
    type: 'gauge',
    help: '1 while the endpoint as a whole is down, or has asked to wait.',
  },
  rowcall_callback_breaker_open: {
    type: 'gauge',
    help: '1 while the circuit breaker is open, or half-open.',
  },
  rowcall_callback_rate_limited_seconds_total: {
    type: 'counter',
    help: 'For how long attempts waited for rate_limit.',
  },
  rowcall_callback_disabled: {
    type: 'gauge',
    help: '1 while it is disabled, by a person or by an answer 410.',
  },
  rowcall_callback_stopped_partitions: {
    type: 'gauge',
    help: 'Partitions not read any more, because records were deleted before they were read.',
  },
  rowcall_callback_lag_records: { type: 'gauge', help: 'Records between cursor and end of log.' },
  rowcall_callback_latency_seconds: {
    type: 'histogram',
    help: 'From the commit at the source to the answer of the callback.',
  },
} as const;

export type MetricName = keyof typeof METRICS;
