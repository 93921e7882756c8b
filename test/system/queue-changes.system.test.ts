import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';

import { eventually } from '../support/eventually.ts';
import { FaultScene } from '../support/fault-scene.ts';
import type { Arrival } from '../support/receiver-journal.ts';
import { Receiver } from '../support/receiver.ts';
import type { RowcallProcess } from '../support/rowcall-process.ts';

const NEW_SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

interface Written {
  callbacks: { name: string; deliver: Record<string, unknown> }[];
}

let scene: FaultScene | undefined;
let moved: Receiver | undefined;

afterEach(async () => {
  await scene?.close();
  await moved?.refuse();
});

const nameOf = ({ operation, key }: Arrival): string =>
  `${operation} ${String((JSON.parse(key ?? '') as { id: number }).id)}`;

/** Resolves when the daemon goes by what the file says now. */
async function reloaded(daemon: RowcallProcess): Promise<void> {
  const count = (): number => daemon.stderr.split('The callbacks have changed').length;
  const before = count();
  daemon.signal('SIGHUP');
  await eventually(() => {
    expect(count()).toBe(before + 1);
  });
}

test('a queue outlives another URL, another secret, and the removal of its callback over kill -9: in order, with its attempts', async () => {
  const opened = await FaultScene.open('queue', [
    { name: 'queue', react: () => ({ kind: 'fail', status: 500 }) },
    { name: 'well' },
  ]);
  scene = opened;
  const file = parse(readFileSync(opened.configFile, 'utf8')) as Written;
  const write = (callbacks: Written['callbacks']): void => {
    writeFileSync(opened.configFile, stringify({ ...file, callbacks }));
  };
  let daemon = await opened.start();
  // It captures from where the binlog ends when it begins.
  await daemon.ready(120_000);
  await opened.write([1, 2, 3]);
  await eventually(() => {
    const attempts = Object.values(opened.attempts('queue'));
    expect(attempts).toHaveLength(3);
    for (const one of attempts) expect(one.length).toBeGreaterThan(1);
  });

  // It verifies with the new secret alone.
  const came: Record<string, number[]> = {};
  let failing = false;
  moved = new Receiver({
    ...{ journal: opened.journal, secret: NEW_SECRET },
    react: (arrival) => {
      (came[nameOf(arrival)] ??= []).push(arrival.attempt);
      return failing ? { kind: 'fail', status: 500 } : { kind: 'take' };
    },
  });
  await moved.listen();
  const change = { url: moved.url, secrets: [NEW_SECRET] };
  const callbacks = file.callbacks.map((callback) =>
    callback.name === 'queue'
      ? { ...callback, deliver: { ...callback.deliver, ...change } }
      : callback,
  );
  write(callbacks);
  await reloaded(daemon);
  const old = opened.attempts('queue');
  await opened.allTaken(['queue', 'well']);
  expect(opened.attempts('queue'), 'nothing goes to the old one').toEqual(old);
  for (const id of [1, 2, 3]) {
    const before = old[`insert ${id}`] ?? [];
    // What waited goes on with its number; what was behind it begins at 1.
    expect(came[`insert ${id}`]).toEqual([before.length + 1]);
    expect(came[`update ${id}`]).toEqual([1]);
  }

  failing = true;
  await opened.write([4, 5]);
  await eventually(() => {
    expect(came['insert 4']?.length).toBeGreaterThan(1);
    expect(came['insert 5']?.length).toBeGreaterThan(1);
  });
  write(callbacks.filter(({ name }) => name !== 'queue'));
  await reloaded(daemon);
  const held = structuredClone(came);
  await opened.write([6]);
  await opened.allTaken(['well']);
  await daemon.kill();
  daemon = await opened.start();
  await opened.write([7]);
  await opened.allTaken(['well']);
  expect(came, 'nothing is sent for what is not there').toEqual(held);

  failing = false;
  write(callbacks);
  await reloaded(daemon);
  await opened.allTaken(['queue', 'well']);
  for (const id of [4, 5]) {
    expect(came[`insert ${id}`]?.at(-1)).toBe((held[`insert ${id}`]?.length ?? 0) + 1);
  }
  for (const id of [6, 7]) expect(came[`insert ${id}`]).toEqual([1]);
  await eventually(async () => {
    expect(await opened.findings()).toEqual([]);
  });
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
});
