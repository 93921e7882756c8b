/** The ratio's base: @vlasky/zongji reading the same binlog from the same place, counting rows and nothing else. */

import ZongJi from '@vlasky/zongji';

interface RowsEvent {
  readonly rows: readonly unknown[];
}

interface Task {
  readonly url: string;
  readonly database: string;
  readonly table: string;
  readonly file: string;
  readonly position: number;
  readonly rows: number;
}

export interface ZongjiResult {
  readonly rows: number;
  readonly ms: number;
}

process.once('message', (task: Task) => {
  const { hostname, port, username, password } = new URL(task.url);
  const reader = new ZongJi({ host: hostname, port: Number(port), user: username, password });
  let rows = 0;
  let first = 0;
  let startedAt = 0;
  reader.on('binlog', (event) => {
    if (event.getEventName() !== 'writerows') return;
    rows += (event as unknown as RowsEvent).rows.length;
    if (startedAt === 0) {
      startedAt = performance.now();
      first = rows;
    }
    if (rows < task.rows) return;
    const ms = performance.now() - startedAt;
    process.send?.({ rows: rows - first, ms } satisfies ZongjiResult);
  });
  reader.on('error', (error) => {
    throw error;
  });
  reader.start({
    serverId: 4_000_000,
    filename: task.file,
    position: task.position,
    includeEvents: ['tablemap', 'writerows', 'rotate'],
    includeSchema: { [task.database]: [task.table] },
  });
});
process.on('disconnect', () => {
  process.exit(0);
});
