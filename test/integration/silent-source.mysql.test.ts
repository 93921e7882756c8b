import { expect, it } from 'vitest';
import { SourceConnection } from '../../src/capture/binlog/source-connection.ts';
import { eventually } from '../support/eventually.ts';
import { mysqlUrl } from '../support/mysql.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { runCapture } from './support/capture-run.ts';

async function lineTo(url: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(url);
  return TcpProxy.listen({ host: hostname, port: Number(port) });
}

it('a question that a silent source leaves unanswered fails, and its connection is let go', async () => {
  await using line = await lineTo(mysqlUrl());
  const options = { uri: line.through(mysqlUrl()) };
  const source = await SourceConnection.open(options, AbortSignal.timeout(60_000), 200);
  expect(await source.value('SELECT 1')).toBe('1');
  line.pause();
  await expect(source.query('SHOW BINARY LOGS')).rejects.toMatchObject({ code: 'SOURCE_SILENT' });
  await source.close();
  await eventually(() => {
    expect(line.connections).toBe(0);
  });
});

it('a question ends with the signal', async () => {
  await using line = await lineTo(mysqlUrl());
  const stop = new AbortController();
  const source = await SourceConnection.open({ uri: line.through(mysqlUrl()) }, stop.signal);
  line.pause();
  const asking = source.query('SELECT 1');
  const reason = new Error('stopped');
  stop.abort(reason);
  await expect(asking).rejects.toBe(reason);
  await source.close();
  await eventually(() => {
    expect(line.connections).toBe(0);
  });
});

it.each([0, 200, 2000])(
  'capture stops at once while it finds its place on a source silent after %i bytes',
  async (bytes) => {
    await using line = await lineTo(mysqlUrl());
    line.pauseAfter(bytes);
    const run = runCapture({ url: line.through(mysqlUrl()), tables: ['shop.*'] });
    await eventually(() => {
      expect(line.connections).toBe(1);
      expect(line.bytesToClient).toBeGreaterThanOrEqual(bytes);
    });
    const begun = performance.now();
    expect(await run.stop()).toBeNull();
    // Below the five seconds for which the answer to a question is waited for.
    expect(performance.now() - begun).toBeLessThan(4_000);
  },
);
