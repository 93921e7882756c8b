import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Janitor } from '../../../services/janitor.ts';
import { eventually } from '../../support/eventually.ts';
import { tempDir } from '../../support/temp-dir.ts';

test('a killed run leaves neither its server nor its folder', async () => {
  const folder = join(tempDir(), 'server');
  mkdirSync(folder);
  const script = `
    import { spawn } from 'node:child_process';
    import { Janitor } from './services/janitor.ts';
    const folder = ${JSON.stringify(folder)};
    const janitor = new Janitor({ folder, signal: 'KILL', mark: folder });
    const server = spawn('sh', ['-c', 'while :; do sleep 1; done', folder], { detached: true, stdio: 'ignore' });
    janitor.watch(server.pid);
    process.stdout.write(String(server.pid));
    setInterval(() => undefined, 1000);`;
  const run = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output] = (await once(run.stdout, 'data')) as [Buffer];
  const pid = Number(output.toString());
  expect(isAlive(pid)).toBe(true);
  run.kill('SIGKILL');
  await eventually(() => {
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(folder)).toBe(false);
  });
});

test('a pid that by now belongs to a stranger is left alone', async () => {
  const folder = join(tempDir(), 'server');
  mkdirSync(folder);
  const stranger = spawn('sleep', ['60'], { stdio: 'ignore' });
  try {
    const janitor = new Janitor({ folder, signal: 'KILL', mark: folder });
    janitor.watch(stranger.pid);
    await janitor.release();
    expect(existsSync(folder)).toBe(false);
    expect(stranger.signalCode).toBeNull();
    expect(isAlive(Number(stranger.pid))).toBe(true);
  } finally {
    stranger.kill('SIGKILL');
  }
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
