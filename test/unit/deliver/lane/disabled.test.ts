import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../../../src/deliver/callback/sender.ts';
import { CALLBACK, DELIVERED, DispatcherScene, FAILED } from './dispatcher-scene.ts';

const GONE: Outcome = { kind: 'gone', error: 'HTTP 410' };
const busy = (seconds: number): Outcome => ({
  ...{ kind: 'throttled', error: 'HTTP 429', status: 429, retryAfterMs: seconds * 1_000 },
});
const ASKED = { actor: 'cli:ops', reason: 'it moves', atMs: 1 };

/** What is stored is seen, as it is once a second. */
async function look(scene: DispatcherScene): Promise<void> {
  const { gate } = scene.dispatcher;
  const version = gate.holdVersion;
  const holds = await scene.state.callbackHolds();
  gate.look(holds.find(({ callback }) => callback === CALLBACK) ?? null, version);
  await scene.pass(0);
}

describe('an endpoint that is gone', () => {
  test('disables its callback durably and holds its events, the one that it refused first', async () => {
    const scene = await DispatcherScene.open({ concurrency: 2 });
    for (const key of ['a', 'b', 'c', 'a']) scene.offer(key);
    await scene.answer(0, GONE);
    await scene.answer(1, DELIVERED);
    expect(scene.sending).toEqual([]);
    expect(scene.dispatcher.hasRoom).toBe(false);
    expect(scene.dispatcher.gate.disabled).toMatchObject({ actor: 'endpoint', reason: 'HTTP 410' });
    expect(scene.dispatcher.gate.pause).toBeNull();
    expect(await scene.state.callbackHolds()).toMatchObject([
      { callback: CALLBACK, disabled: { actor: 'endpoint' } },
    ]);
    expect([await scene.next(), scene.lanes.lanes]).toEqual([0, 0]);
    await scene.pass(3_600_000);
    await look(scene);
    expect(scene.sending).toEqual([]);
    await scene.state.actOnCallback(CALLBACK, 'enable', ASKED);
    await look(scene);
    expect(scene.sending).toEqual([0, 2]);
    expect(scene.attempt(0).attempt).toBe(1);
    for (const offset of [0, 2, 3]) await scene.answer(offset, DELIVERED);
    expect(await scene.ledger()).toEqual({ read: 4, matched: 4, delivered: 4 });
  });

  test('is not enabled by a look that began before it was known', async () => {
    const scene = await DispatcherScene.open();
    scene.offer('a');
    const { gate } = scene.dispatcher;
    const before = gate.holdVersion;
    scene.hold();
    await scene.answer(0, GONE);
    gate.look(null, before);
    // Not durable yet: what is stored is older than what is known.
    gate.look(null, gate.holdVersion);
    expect(gate.disabled).not.toBeNull();
    await scene.release();
    await look(scene);
    expect(gate.disabled).not.toBeNull();
  });

  test('keeps the head of a lane where it is', async () => {
    const scene = await DispatcherScene.open();
    scene.offer('a');
    await scene.answer(0, FAILED);
    await scene.pass(1_001);
    await scene.answer(0, GONE);
    expect(await scene.ledger()).toEqual({ read: 1, matched: 1, retrying: 1 });
    expect(scene.dispatcher.laneRoom).toBe(0);
    await scene.state.actOnCallback(CALLBACK, 'enable', ASKED);
    await look(scene);
    await scene.pass(1_000);
    expect(scene.attempt(0).attempt).toBe(2);
  });
});

describe('a person', () => {
  test('skips the head of a lane of a disabled callback, and nothing is sent', async () => {
    const scene = await DispatcherScene.open();
    for (const key of ['a', 'a', 'b']) scene.offer(key);
    await scene.answer(0, FAILED);
    await scene.answer(2, FAILED);
    await scene.state.actOnCallback(CALLBACK, 'disable', ASKED);
    await look(scene);
    await scene.pass(60_000);
    const [lane] = await scene.state.lanes({ limit: 1 });
    await scene.state.actOnLane(lane?.id ?? 0, 'skip', ASKED, lane?.headId);
    // The other key's head is due as well, and waits.
    await scene.pass(1_000);
    expect(await scene.ledger()).toEqual({ read: 3, matched: 3, skipped: 1, retrying: 2 });
    expect(scene.sending).toEqual([]);
    await scene.state.actOnCallback(CALLBACK, 'enable', ASKED);
    await look(scene);
    for (let n = 0; n < 2; n += 1) {
      await scene.pass(1_000);
      await scene.answer(scene.sending[0] ?? -1, DELIVERED);
    }
    expect(await scene.ledger()).toEqual({ read: 3, matched: 3, skipped: 1, delivered: 2 });
  });

  test('disables a callback at work: what is in flight ends, nothing begins', async () => {
    const scene = await DispatcherScene.open({ concurrency: 1 });
    for (const key of ['a', 'b']) scene.offer(key);
    await scene.state.actOnCallback(CALLBACK, 'disable', ASKED);
    await look(scene);
    await scene.answer(0, DELIVERED);
    expect(scene.sending).toEqual([]);
    expect(await scene.ledger()).toEqual({ read: 1, matched: 1, delivered: 1 });
    expect(scene.dispatcher.gate.disabled).toEqual(ASKED);
  });

  test('goes on earlier than the endpoint asked for, and later 429s hold again', async () => {
    const scene = await DispatcherScene.open({ concurrency: 8 });
    for (const key of ['a', 'b', 'c', 'd']) scene.offer(key);
    for (const offset of [0, 1, 2]) await scene.answer(offset, busy(600));
    await scene.answer(3, DELIVERED);
    expect(scene.dispatcher.gate.pause?.until).toBe(scene.now() + 600_000);
    expect(await scene.state.callbackHolds()).toMatchObject([
      { wait: { untilMs: scene.now() + 600_000, reason: 'HTTP 429' } },
    ]);
    await scene.state.actOnCallback(CALLBACK, 'resume', ASKED);
    await look(scene);
    expect(scene.dispatcher.gate.pause).toBeNull();
    for (const key of ['e', 'f', 'g']) scene.offer(key);
    // Slowly: two at once, after so long a silence.
    expect(scene.sending).toEqual([4, 5]);
    for (const offset of [4, 5]) await scene.answer(offset, busy(60));
    await scene.answer(6, busy(60));
    expect(scene.dispatcher.gate.pause).not.toBeNull();
  });
});
