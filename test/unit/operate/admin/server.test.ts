import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { CaptureSnapshot } from '../../../../src/capture/capture.ts';
import { parseConfig } from '../../../../src/config/load.ts';
import { RowcallError } from '../../../../src/errors.ts';
import { openEmbeddedLog } from '../../../../src/log/embedded/embedded-log.ts';
import { type AdminParts, AdminServer } from '../../../../src/operate/admin/server.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { type Logger, silentLogger } from '../../../../src/shared/logger.ts';
import { tempDir } from '../../../support/temp-dir.ts';
import { CAPTURE, delivering } from '../observe/snapshots.ts';

const CONFIG = parseConfig(
  { name: 'shop', source: { url: 'mysql://r@127.0.0.1' }, tables: [{ match: 'shop.*' }] },
  '/',
);

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Running {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** Starts it on a free port, which its own log line tells. */
async function start(
  capture: CaptureSnapshot,
  broken = false,
  more: Partial<AdminParts> = {},
): Promise<Running> {
  const log = await openEmbeddedLog({
    path: `${tempDir()}/events.db`,
    maxBytes: 1e9,
    retention: { ageMs: 1e9, sizeBytes: 1e9 },
    clock: systemClock,
    logger: silentLogger,
    create: true,
  });
  closers.push(() => log.close());
  const stop = new AbortController();
  let onAddress: (url: string) => void = () => undefined;
  const address = new Promise<string>((resolve) => {
    onAddress = resolve;
  });
  const logger: Logger = {
    ...silentLogger,
    info: (fields) => {
      if ('address' in fields) onAddress(String(fields.address));
    },
  };
  const server = new AdminServer({
    host: '127.0.0.1',
    port: 0,
    config: CONFIG,
    state: null,
    clock: systemClock,
    logger,
    log,
    capture: {
      snapshot: () => {
        if (broken) throw new Error('secret detail');
        return capture;
      },
    },
    deliver: { snapshot: () => delivering({}) },
    ...more,
  });
  const running = server.run(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await running;
  };
  closers.push(end);
  return { url: await address, stop: end };
}

describe('the admin address', () => {
  it('says that the process is alive', async () => {
    const { url } = await start({ ...CAPTURE, state: 'waiting' });
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it('says that it stands by, and for whom', async () => {
    const waiting = { capture: null, deliver: null, standby: () => 'standby: other captures' };
    const { url } = await start(CAPTURE, false, waiting);
    const unready = await fetch(`${url}/readyz`);
    expect(unready.status).toBe(503);
    expect(await unready.json()).toEqual({
      ready: false,
      reasons: ['standby: other captures'],
      warnings: [],
    });
  });

  it('answers while the log does not, with one question to it however many ask', async () => {
    let questions = 0;
    const topics = (): Promise<never> => {
      questions += 1;
      return new Promise(() => undefined);
    };
    const log = { topics } as unknown as AdminParts['log'];
    const { url } = await start(CAPTURE, false, { log });
    const answers = await Promise.all([fetch(`${url}/readyz`), fetch(`${url}/readyz`)]);
    for (const answer of answers) {
      expect(answer.status).toBe(503);
      expect(await answer.json()).toEqual({
        ready: false,
        reasons: ['the log does not answer'],
        warnings: [],
      });
    }
    expect(questions).toBe(1);
  });

  it('says of a log that cannot be reached that it does not answer, and logs no failure of its own', async () => {
    const topics = (): Promise<never> =>
      Promise.reject(new RowcallError('LOG_UNREACHABLE', 'The log was closed'));
    const log = { topics } as unknown as AdminParts['log'];
    const { url } = await start(CAPTURE, false, { log });
    const answer = await fetch(`${url}/readyz`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ reasons: ['the log does not answer'] });
  });

  it('says ready with 200, and unready with 503 and the reasons', async () => {
    const well = await start(CAPTURE);
    const ready = await fetch(`${well.url}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toEqual({ ready: true, reasons: [], warnings: [] });
    const ill = await start({ ...CAPTURE, state: 'waiting' });
    const unready = await fetch(`${ill.url}/readyz`);
    expect(unready.status).toBe(503);
    expect(await unready.json()).toEqual({
      ready: false,
      reasons: ['capture is waiting'],
      warnings: [],
    });
  });

  it('serves the metrics in the format that Prometheus reads', async () => {
    const { url } = await start(CAPTURE);
    const answer = await fetch(`${url}/metrics`);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await answer.text();
    expect(text).toContain('rowcall_capture_rows_total 700');
    expect(text).toMatch(/^rowcall_resident_memory_bytes \d{7,}$/m);
    expect(text).toContain('rowcall_log_max_bytes 1000000000');
  });

  it.each([
    ['GET', '/'],
    ['GET', '/v2/status'],
    ['POST', '/metrics'],
    ['DELETE', '/readyz'],
  ])('answers %s %s with a problem of RFC 9457', async (method, path) => {
    const { url } = await start(CAPTURE);
    const answer = await fetch(`${url}${path}`, { method });
    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(await answer.json()).toMatchObject({ type: 'about:blank', status: 404 });
  });

  it('answers a path that cannot be decoded with a problem too', async () => {
    const { url } = await start(CAPTURE);
    const answer = await fetch(`${url}/%zz`);
    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  });

  it('keeps what failed inside to itself', async () => {
    const { url } = await start(CAPTURE, true);
    const answer = await fetch(`${url}/readyz`);
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain('secret detail');
  });

  it('stops with a connection still open', async () => {
    const { url, stop } = await start(CAPTURE);
    await fetch(`${url}/healthz`, { headers: { connection: 'keep-alive' } });
    await stop();
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  });

  it('says that its address is taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    closers.push(async () => {
      await new Promise((resolve) => other.close(resolve));
    });
    const { port } = other.address() as AddressInfo;
    const log = { topics: () => Promise.resolve([]) } as never;
    const own = { config: CONFIG, state: null, clock: systemClock, logger: silentLogger };
    const parts = { ...own, log, capture: null, deliver: null };
    const taken = new AdminServer({ ...parts, host: '127.0.0.1', port });
    const never = new AbortController().signal;
    await expect(taken.run(never)).rejects.toMatchObject({ code: 'ADMIN_LISTEN' });
    const foreign = new AdminServer({ ...parts, host: '192.0.2.1', port: 8686 });
    await expect(foreign.run(never)).rejects.toMatchObject({ code: 'ADMIN_LISTEN' });
  });
});
