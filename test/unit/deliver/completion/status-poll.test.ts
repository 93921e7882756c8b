import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../../../support/eventually.ts';
import { type Arrival, AsyncScene, type AsyncSceneOptions } from './async-scene.ts';

let scene: AsyncScene | undefined;

afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Each question in its turn; the last answer again and again. */
class StatusPage {
  readonly asked: IncomingMessage[] = [];
  readonly answers: Answer[];

  constructor(...answers: Answer[]) {
    this.answers = answers;
  }

  readonly answer: Answer = (request, response) => {
    this.asked.push(request);
    const next = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
    next?.(request, response);
  };
}

function says(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return (_request, response) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    response.writeHead(status, headers).end(text);
  };
}

const RUNNING = says(200, { state: 'running' });
const DONE = says(200, { state: 'done' });
const FAILED = says(200, { state: 'failed', why: 'card declined' });

function located({ event }: Arrival, response: ServerResponse): number {
  response.setHeader('location', `/jobs/${encodeURIComponent(event)}`);
  return 202;
}

const POLL = { doneWhen: 'body.state == "done"', failedWhen: 'body.state == "failed"' };

async function opened(
  keys: readonly number[],
  page: StatusPage,
  options: AsyncSceneOptions = {},
): Promise<AsyncScene> {
  scene = await AsyncScene.open(keys, {
    poll: POLL,
    react: located,
    ...options,
    async: { heartbeatMs: 10, ...options.async },
    status: page.answer,
  });
  return scene;
}

async function ledgerIs(of: AsyncScene, expected: object): Promise<void> {
  await eventually(async () => {
    expect(await of.ledger()).toEqual(expected);
  });
}

async function asked(page: StatusPage, times: number): Promise<void> {
  await eventually(() => {
    expect(page.asked.length).toBeGreaterThanOrEqual(times);
  });
}

async function lastError(of: AsyncScene): Promise<string> {
  const [lane] = await of.state.lanes({ limit: 1 });
  return lane?.lastError ?? '';
}

describe('a status URL', () => {
  test('is asked until it says that the event is done; its key waits', async () => {
    const page = new StatusPage(RUNNING, RUNNING, DONE);
    const one = await opened([1, 1], page);
    await ledgerIs(one, { read: 2, matched: 2, delivered: 2 });
    expect(page.asked[0]?.url).toBe('/jobs/uuid%3A0%3Ashop%2Forders%3A1%3Abilling');
    expect(page.asked[2]?.url).toBe(page.asked[0]?.url);
    expect(page.asked[0]?.headers).toMatchObject({
      authorization: 'Bearer secret-of-billing',
      'rowcall-callback': 'billing',
    });
    expect(one.arrivals.map(({ url }) => url)).toEqual(['undefined', 'undefined']);
    expect(await one.state.completions({ limit: 9 })).toMatchObject([
      { attempt: 1, status: 'succeeded', late: false },
      { attempt: 1, status: 'succeeded', late: false },
    ]);
  });

  test('may be made of what the 202 says', async () => {
    const page = new StatusPage(DONE);
    const one = await opened([1], page, {
      poll: { ...POLL, url: '"/jobs?id=" + string(body.id) + "&of=" + headers["x-of"]' },
      react: (_arrival, response) => {
        response.writeHead(202, { 'X-Of': 'a' }).end('{"id":9007199254740993}');
        return 202;
      },
    });
    await ledgerIs(one, { read: 1, matched: 1, delivered: 1 });
    expect(page.asked[0]?.url).toBe('/jobs?id=9007199254740993&of=a');
  });

  test.each([
    ['another host', { location: 'http://169.254.169.254/latest' }, 'it leads away from http://'],
    ['another port', { location: '//127.0.0.1:1/jobs' }, 'it leads away from http://'],
    ['no Location', {}, 'it has no Location'],
    ['no URL', { location: 'http://[' }, 'what it names is no URL'],
    ['a long URL', { location: `/${'x'.repeat(2_048)}` }, 'it has over 2048 characters'],
  ])('that is %s is never asked, and the attempt has failed', async (_, headers, text) => {
    const page = new StatusPage(DONE);
    const one = await opened([1], page, {
      react: (_arrival, response) => {
        response.writeHead(202, headers).end();
        return 202;
      },
    });
    await eventually(async () => {
      expect(await lastError(one)).toContain(`HTTP 202 without a status URL: ${text}`);
    });
    expect(page.asked).toEqual([]);
  });

  test('that says failed ends the attempt, and another follows with a URL of its own', async () => {
    const page = new StatusPage(FAILED, DONE);
    const reasons: string[] = [];
    const one = await opened([1], page, {
      react: async (arrival, response) => {
        if (scene !== undefined) reasons.push(await lastError(scene));
        return located(arrival, response);
      },
    });
    await ledgerIs(one, { read: 1, matched: 1, delivered: 1 });
    expect(one.arrivals.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(reasons.at(-1)).toBe(
      'its status URL said failed: HTTP 200: {"state":"failed","why":"card declined"}',
    );
  });

  test('that says both has failed: an event sent again is better than one lost', async () => {
    const page = new StatusPage(DONE);
    const one = await opened([1], page, { poll: { doneWhen: 'true', failedWhen: 'true' } });
    await eventually(() => {
      expect(one.arrivals.length).toBeGreaterThan(1);
    });
    expect(await one.ledger()).not.toHaveProperty('delivered');
  });

  test.each([404, 410])('that knows nothing of the work (%s) ends the attempt', async (status) => {
    const page = new StatusPage(says(status, 'who?'), DONE);
    const one = await opened([1], page);
    await ledgerIs(one, { read: 1, matched: 1, delivered: 1 });
    expect(one.arrivals.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(await one.state.completions({ limit: 1 })).toMatchObject([
      { reason: `its status URL answered HTTP ${status}: who?` },
    ]);
  });

  test.each<[string, Answer]>([
    ['is down', says(503, 'no')],
    ['wants another login', says(401, { state: 'failed' })],
    ['redirects', says(302, { state: 'failed' }, { location: '/elsewhere' })],
    ['is no JSON', says(200, '<html>done</html>')],
    ['is empty', says(200, '')],
    ['is huge', says(200, `{"state":"done","x":"${'x'.repeat(70_000)}"}`)],
    ['is of another form', says(200, '"done"')],
    ['hangs up', (_request, response) => response.destroy()],
    ['hangs', () => undefined],
    [
      'never ends',
      (_request, response) => {
        response.writeHead(200).write('{"state":');
      },
    ],
  ])('that %s is no end: it is asked again', async (_, answer) => {
    const page = new StatusPage(answer, answer, DONE);
    const one = await opened([1], page, { poll: { ...POLL, timeoutMs: 200 } });
    await ledgerIs(one, { read: 1, matched: 1, delivered: 1 });
    expect(one.arrivals).toHaveLength(1);
    expect(page.asked).toHaveLength(3);
    expect(page.asked.every(({ url }) => url === page.asked[0]?.url)).toBe(true);
  });

  test('that sees other is asked about, as a 303 says that the result is there', async () => {
    const page = new StatusPage(RUNNING, says(303, '', { location: '/results/1' }));
    const one = await opened([1], page, {
      poll: { doneWhen: 'status == 303 && headers.location != null' },
    });
    await ledgerIs(one, { read: 1, matched: 1, delivered: 1 });
  });

  test('that never says an end has until the deadline, and the last it said is told', async () => {
    const page = new StatusPage(says(500, 'secret-of-billing does not help'));
    const one = await opened([1], page, { async: { deadlineMs: 100, heartbeatMs: 10 } });
    await eventually(async () => {
      expect(await lastError(one)).toBe(
        'attempt 1 was answered with 202 and not completed by its deadline; its status URL: HTTP 500: *** does not help',
      );
    });
  });

  test('that asks for time is given it', async () => {
    const page = new StatusPage(says(429, 'slow', { 'retry-after': '3600' }), DONE);
    const one = await opened([1], page, { async: { deadlineMs: 150, heartbeatMs: 5 } });
    await eventually(() => {
      expect(one.arrivals.length).toBeGreaterThan(1);
    });
    // The second question is the next attempt's: a new one.
    expect(one.arrivals.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(page.asked.length).toBeLessThanOrEqual(2);
  });

  test('is asked on after a restart, without a new attempt', async () => {
    const page = new StatusPage(RUNNING);
    const one = await opened([1, 2], page);
    await asked(page, 6);
    await one.stop();
    const before = page.asked.length;
    await one.start();
    await asked(page, before + 2);
    page.answers[0] = DONE;
    await ledgerIs(one, { read: 2, matched: 2, delivered: 2 });
    expect(one.arrivals).toHaveLength(2);
  });
});
