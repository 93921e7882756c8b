import { describe, expect, it } from 'vitest';
import { closeAfter } from '../../../src/shared/close-after.ts';
import { silentLogger } from '../../../src/shared/logger.ts';

const failing = (message: string) => (): Promise<never> => Promise.reject(new Error(message));

describe('what is closed after its work', () => {
  it('is closed once the work is done, whose result is kept', async () => {
    const steps: string[] = [];
    const close = (): Promise<void> => {
      steps.push('closed');
      return Promise.resolve();
    };
    const result = await closeAfter({ close }, silentLogger, () => {
      steps.push('worked');
      return Promise.resolve(7);
    });
    expect([result, ...steps]).toEqual([7, 'worked', 'closed']);
  });

  it("does not hide the work's error behind its own, which is logged", async () => {
    const told: string[] = [];
    const logger = { ...silentLogger, error: (_: object, text: string) => told.push(text) };
    const done = closeAfter({ close: failing('second') }, logger, failing('first'));
    await expect(done).rejects.toThrow('first');
    expect(told).toEqual([expect.stringContaining('second')]);
  });

  it('raises its own error where the work had none', async () => {
    const done = closeAfter({ close: failing('second') }, silentLogger, () => Promise.resolve());
    await expect(done).rejects.toThrow('second');
  });
});
