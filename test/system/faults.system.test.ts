import { writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { afterEach, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import { FaultScene } from '../support/fault-scene.ts';
import type { Attempts, Fault } from '../support/fault-scene.ts';
import type { Arrival } from '../support/receiver-journal.ts';
import type { Reaction } from '../support/receiver.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { tempDir } from '../support/temp-dir.ts';
import { selfSigned } from '../unit/deliver/callback/certificate.ts';

const KEYS = [1, 2, 3, 4, 5, 6];
/** The events that meet with the fault of their endpoint, where it does not meet all. */
const HIT = new Set(['insert 2', 'insert 5']);
const TAKE: Reaction = { kind: 'take' };
/** So that what uses up an attempt shows: its key would be parked. */
const ONE_ATTEMPT = {
  retry: { initial_interval: '50ms', maximum_interval: '400ms', maximum_attempts: 1 },
};
const SOON = { breaker: { open_for: '1s' } };

let scene: FaultScene | undefined;
const proxies: TcpProxy[] = [];

afterEach(async () => {
  await scene?.close();
  for (const proxy of proxies.splice(0)) await proxy.close();
});

const nameOf = ({ operation, key }: Arrival): string =>
  `${operation} ${String((JSON.parse(key ?? '') as { id: number }).id)}`;

const wallMs = (): number => performance.timeOrigin + performance.now();

/** The first attempt of the events that are hit meets with this, everything else is taken. */
function once(name: string, fault: () => Reaction, more: Partial<Fault> = {}): Fault {
  const react = (arrival: Arrival, time: number): Reaction =>
    time === 1 && HIT.has(nameOf(arrival)) ? fault() : TAKE;
  return { name, react, ...more };
}

function answers(write: (response: ServerResponse) => void, takes = false): () => Reaction {
  return () => ({
    kind: 'answer',
    takes,
    write: (response, ended) => {
      ended();
      write(response);
    },
  });
}

/** Writes until the other side has gone. */
function pour(response: ServerResponse): void {
  const text = 'very much text '.repeat(1_000);
  const more = (): void => {
    while (!response.destroyed && response.write(text));
  };
  response.on('drain', more);
  more();
}

function drip(response: ServerResponse): void {
  response.writeHead(200);
  const timer = setInterval(() => response.write('.'), 100);
  response.on('close', () => {
    clearInterval(timer);
  });
}

const redirect = (location: string): (() => Reaction) =>
  answers((response) => response.writeHead(307, { location }).end());

/** Tells events when to come back, and keeps who came earlier. */
class Told {
  readonly early: string[] = [];
  readonly #until = new Map<string, number>();

  /** `hits` meet with `status` at their first attempt. */
  fault(
    name: string,
    status: number,
    how: {
      readonly ms: number;
      readonly asDate?: true;
      readonly hits?: (event: string) => boolean;
    },
  ): Fault {
    const hits = how.hits ?? ((event) => HIT.has(event));
    return {
      name,
      options: ONE_ATTEMPT,
      react: (arrival, time) => {
        const event = `${name}: ${nameOf(arrival)}`;
        const late = arrival.arrivedAtMs - (this.#until.get(event) ?? 0);
        if (late < 0) this.early.push(`${event} came ${-late} ms too early`);
        if (time > 1 || !hits(nameOf(arrival))) return TAKE;
        const exact = wallMs() + how.ms;
        const until = how.asDate === true ? Math.ceil(exact / 1000) * 1000 : exact;
        this.#until.set(event, until);
        const after = how.asDate === true ? new Date(until).toUTCString() : String(how.ms / 1000);
        return answers((response) => {
          response.writeHead(status, { 'retry-after': after }).end('later');
        })();
      },
    };
  }
}

/** Every event's attempts: one, and where the fault hit two. */
function expected(
  hit: readonly number[],
  hits = (event: string): boolean => HIT.has(event),
): Attempts {
  const events = KEYS.flatMap((id) => [`insert ${id}`, `update ${id}`]);
  return Object.fromEntries(events.map((event) => [event, hits(event) ? hit : [1]]));
}

const ALL_INSERTS = (event: string): boolean => event.startsWith('insert');

function faultsOfAttempts(told: Told, trapped: string[]): readonly [Fault, Attempts][] {
  const twice = expected([1, 2]);
  return [
    [{ name: 'well' }, expected([1])],
    [once('error', () => ({ kind: 'fail', status: 500 })), twice],
    [once('bad-gateway', () => ({ kind: 'fail', status: 502 }), { options: ONE_ATTEMPT }), twice],
    [told.fault('told-in-seconds', 429, { ms: 2_000 }), twice],
    [told.fault('told-by-date', 429, { ms: 1_500, asDate: true }), twice],
    [told.fault('unavailable', 503, { ms: 1_000 }), twice],
    [told.fault('storm', 429, { ms: 2_000, hits: ALL_INSERTS }), expected([1, 2], ALL_INSERTS)],
    [once('never-answers', () => ({ kind: 'hang' })), twice],
    [once('slow-body', () => ({ kind: 'answer', takes: false, write: drip })), twice],
    [
      once(
        'endless-success',
        answers((response) => {
          pour(response.writeHead(200));
        }, true),
      ),
      expected([1]),
    ],
    [
      once(
        'endless-error',
        answers((response) => {
          pour(response.writeHead(500));
        }),
      ),
      twice,
    ],
    [
      once(
        'huge',
        answers((response) => response.end(Buffer.alloc(20_000_000)), true),
      ),
      expected([1]),
    ],
    [
      once(
        'cut-answer',
        answers((response) => {
          response.writeHead(200, { 'content-length': 100 });
          response.write('only this', () => response.destroy());
        }),
      ),
      twice,
    ],
    [once('reset', () => ({ kind: 'reset' })), twice],
    [once('to-metadata', redirect('http://169.254.169.254/latest/meta-data/')), twice],
    [once('to-another', () => redirect(trapped[0] ?? '')()), twice],
  ];
}

test('whatever one endpoint does, its events come in order by the attempts they need, the books balance, and no other callback is touched', async () => {
  const told = new Told();
  const trapped: string[] = [];
  const faults = faultsOfAttempts(told, trapped);
  const lines: { proxy?: TcpProxy } = {};
  const silent: Fault = {
    name: 'dies-silently',
    options: { concurrency: 1 },
    through: async (url) => {
      const { hostname: host, port } = new URL(url);
      lines.proxy = await TcpProxy.listen({ host, port: Number(port) });
      proxies.push(lines.proxy);
      return lines.proxy.through(url);
    },
    react: (arrival, time) => {
      // It is taken, and the sender never hears of it. What comes next comes on another connection.
      if (nameOf(arrival) === 'insert 2' && time === 1) lines.proxy?.pause();
      else lines.proxy?.resume();
      return TAKE;
    },
  };
  // Nothing but the redirect leads here.
  const trap = await FaultScene.trap();
  trapped.push(trap.url);
  scene = await FaultScene.open('faults', [...faults.map(([fault]) => fault), silent]);
  const daemon = await scene.start();
  await daemon.ready(120_000);
  await scene.write(KEYS);
  await scene.allTaken([...scene.receivers.keys()]);

  for (const [{ name }, attempts] of faults) {
    expect.soft(scene.attempts(name), name).toEqual(attempts);
  }
  expect
    .soft(scene.attempts('dies-silently'))
    .toEqual(expected([1, 2], (event) => event === 'insert 2'));
  expect(told.early).toEqual([]);
  expect(trap.requests()).toBe(0);
  const opened = scene;
  await eventually(async () => {
    expect(await opened.findings()).toEqual([]);
  });
  await trap.close();
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
});

test('an endpoint that cannot be reached or trusted gets every event at its first attempt once it can', async () => {
  const [good, expired, strange] = [
    selfSigned(['hooks.test']),
    selfSigned(['hooks.test'], { expired: true }),
    selfSigned(['hooks.test']),
  ];
  const ca = `${tempDir()}/ca.pem`;
  writeFileSync(ca, good.cert + expired.cert);
  const guarded = { deliver: { tls: { ca } }, options: { ...ONE_ATTEMPT, ...SOON } };
  scene = await FaultScene.open('unreachable', [
    { name: 'refused', options: guarded.options },
    { name: 'expired', tls: expired, ...guarded },
    { name: 'not-trusted', tls: strange, ...guarded },
    { name: 'well' },
  ]);
  const down = ['refused', 'expired', 'not-trusted'];
  await scene.receivers.get('refused')?.refuse();
  const daemon = await scene.start();
  await daemon.ready(120_000);
  await scene.write(KEYS);
  await scene.allTaken(['well']);
  await eventually(() => {
    for (const name of down) expect(daemon.stderr).toContain(`"callback":"${name}"`);
    expect(daemon.stderr.split('The endpoint is down').length - 1).toBe(3);
  });
  expect(daemon.stderr).toContain('CERT_HAS_EXPIRED');
  expect(daemon.stderr).toContain('DEPTH_ZERO_SELF_SIGNED_CERT');
  for (const name of down) expect(scene.attempts(name)).toEqual({});

  await scene.receivers.get('refused')?.listen();
  await scene.receivers.get('expired')?.present(good);
  await scene.receivers.get('not-trusted')?.present(good);
  await scene.allTaken(down);
  for (const name of down) expect(scene.attempts(name)).toEqual(expected([1]));
  const opened = scene;
  await eventually(async () => {
    expect(await opened.findings()).toEqual([]);
  });
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
});

test('a callback disabled by 410 stays so over kill -9, and its events come when it is enabled', async () => {
  let wanted = false;
  scene = await FaultScene.open('gone', [
    {
      name: 'gone',
      // One key is in a lane already when the endpoint has enough: what is there is held, too.
      react: (arrival, time) => {
        if (wanted) return TAKE;
        if (nameOf(arrival) === 'insert 2' && time === 1) return { kind: 'fail', status: 500 };
        return { kind: 'fail', status: nameOf(arrival).endsWith(' 2') ? 500 : 410 };
      },
    },
    { name: 'well' },
  ]);
  const opened = scene;
  let daemon = await opened.start();
  await daemon.ready(120_000);
  await opened.write([2]);
  await eventually(() => {
    expect(opened.attempts('gone')['insert 2']?.length).toBeGreaterThan(1);
  });
  await opened.write([1, 3, 4]);
  await eventually(async () => {
    expect(await stateOf(opened, 'gone')).toBe('disabled');
  });
  await opened.allTaken(['well']);
  // What was in flight when it was disabled has ended: a kill may else repeat an attempt's number.
  await eventually(async () => {
    const { stdout } = await opened.command('lanes', 'list', '--json');
    const made = opened.attempts('gone')['insert 2']?.length;
    const { items } = JSON.parse(stdout) as { items: unknown[] };
    expect(items).toMatchObject([{ attempts: made }]);
  });
  await daemon.kill();
  daemon = await opened.start();
  const before = opened.attempts('gone');
  await opened.write([5, 6]);
  await opened.allTaken(['well']);
  expect(opened.attempts('gone'), 'nothing is sent while it is disabled').toEqual(before);
  expect(await stateOf(opened, 'gone')).toBe('disabled');

  wanted = true;
  const enabled = await opened.command('callbacks', 'enable', 'gone', '--reason', 'it has moved');
  expect(enabled.code, enabled.stderr).toBe(0);
  await opened.allTaken(['gone']);
  const { 'insert 2': retried, ...others } = opened.attempts('gone');
  // Each number once, in order; a 410 uses up none.
  expect(retried).toEqual(retried?.map((_, n) => n + 1));
  expect(
    Object.values(others)
      .flat()
      .every((attempt) => attempt === 1),
  ).toBe(true);
  await eventually(async () => {
    expect(await opened.findings()).toEqual([]);
  });
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
});

test('a storm of 429 is obeyed over kill -9: nobody comes earlier than told', async () => {
  const told = new Told();
  const opened = await FaultScene.open('storm', [
    told.fault('storm', 429, { ms: 8_000, hits: ALL_INSERTS }),
  ]);
  scene = opened;
  let daemon = await opened.start();
  await daemon.ready(120_000);
  await opened.write(KEYS);
  await eventually(async () => {
    expect(await stateOf(opened, 'storm')).toBe('waiting');
    const { stdout } = await opened.command('lanes', 'list', '--json');
    expect((JSON.parse(stdout) as { items: unknown[] }).items).toHaveLength(KEYS.length);
  });
  await daemon.kill();
  daemon = await opened.start();
  await opened.allTaken(['storm']);
  expect(told.early).toEqual([]);
  expect(opened.attempts('storm')).toEqual(expected([1, 2], ALL_INSERTS));
  await eventually(async () => {
    expect(await opened.findings()).toEqual([]);
  });
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
});

async function stateOf(opened: FaultScene, callback: string): Promise<string> {
  const { stdout } = await opened.command('callbacks', 'show', callback, '--json');
  return (JSON.parse(stdout) as { state: string }).state;
}
