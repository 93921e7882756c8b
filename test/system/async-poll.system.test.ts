import { afterEach, expect, test } from 'vitest';

import { AsyncDaemon } from '../support/async-daemon.ts';
import { eventually } from '../support/eventually.ts';

let daemon: AsyncDaemon | undefined;

afterEach(async () => {
  await daemon?.close();
});

test('a status URL is asked on after kill -9, and no completions listener is needed', async () => {
  const attempts: string[] = [];
  const asked: string[] = [];
  let state = 'running';
  daemon = await AsyncDaemon.open({
    name: 'polled',
    endpoint: (request, response) => {
      request.resume();
      if (request.method === 'GET') {
        asked.push(`${String(request.headers.authorization)} ${String(request.url)}`);
        response.end(JSON.stringify({ job: { state } }));
        return;
      }
      attempts.push(String(request.headers['webhook-id']));
      response.writeHead(202).end(JSON.stringify({ job: { id: attempts.length } }));
    },
    deliver: {
      auth: { type: 'bearer', token: 'of-the-work' },
      async: {
        deadline: '10m',
        completion: {
          mode: 'poll',
          url: '"/jobs/" + string(body.job.id)',
          interval: '1s',
          done_when: 'body.job.state == "done"',
        },
      },
    },
  });
  await daemon.start();
  await daemon.writeOrders(1);
  await daemon.ledgerIs({ awaiting: 1, pending: 1 });
  await eventually(() => {
    expect(asked.length).toBeGreaterThan(1);
  });
  await daemon.kill();
  const before = asked.length;
  await daemon.start();
  await eventually(() => {
    expect(asked.length).toBeGreaterThan(before);
  });
  expect(new Set(asked)).toEqual(new Set(['Bearer of-the-work /jobs/1']));
  state = 'done';
  await daemon.ledgerIs({ read: 2, delivered: 2, awaiting: 0, pending: 0 });
  expect(attempts).toHaveLength(2);
});
