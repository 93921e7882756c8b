/** Events that stand beside the transactions. */

import type { BinlogEvent } from './binlog-event.ts';

/** The file's own place changes with its format description; the rest says nothing about rows. */
type Aside = Extract<
  BinlogEvent,
  {
    type:
      'rotate' | 'previous-gtids' | 'gtid-list' | 'rows-query' | 'heartbeat' | 'stop' | 'harmless';
  }
>;

const ASIDE: Readonly<Record<Aside['type'], true>> = {
  rotate: true,
  'previous-gtids': true,
  'gtid-list': true,
  'rows-query': true,
  heartbeat: true,
  stop: true,
  harmless: true,
};

export function isAside(event: BinlogEvent): event is Aside {
  return event.type in ASIDE;
}
