import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PacketQueue } from '../../../../src/capture/binlog/packet-queue.ts';

function makeQueue(maxBytes: number): { queue: PacketQueue; flow: string[] } {
  const flow: string[] = [];
  const queue = new PacketQueue(maxBytes, {
    pause: () => flow.push('pause'),
    resume: () => flow.push('resume'),
  });
  return { queue, flow };
}

describe('the packet queue', () => {
  it('stops the flow at its bound and lets it go on below half', () => {
    const { queue, flow } = makeQueue(10);
    queue.put(Buffer.alloc(6));
    expect(flow).toEqual([]);
    queue.put(Buffer.alloc(6));
    expect(flow).toEqual(['pause']);
    queue.take();
    expect(queue.bytes).toBe(12);
    queue.release();
    expect(flow).toEqual(['pause']);
    queue.take();
    queue.release();
    expect(flow).toEqual(['pause', 'resume']);
  });

  it('takes one packet over its bound alone', () => {
    const { queue, flow } = makeQueue(10);
    queue.put(Buffer.alloc(1000));
    expect(flow).toEqual(['pause']);
    expect(queue.take()?.length).toBe(1000);
    queue.release();
    expect(flow).toEqual(['pause', 'resume']);
  });

  it('gives packets in order, counts what is held, and pauses and resumes by turns', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(20), fc.constantFrom('take', 'release'))), (steps) => {
        const { queue, flow } = makeQueue(30);
        const waiting: Buffer[] = [];
        let held = 0;
        for (const step of steps) {
          if (typeof step === 'number') {
            const packet = Buffer.alloc(step);
            waiting.push(packet);
            queue.put(packet);
          } else if (step === 'take') {
            const packet = waiting.shift();
            expect(queue.take()).toBe(packet);
            held += packet?.length ?? 0;
          } else {
            queue.release();
            held = 0;
          }
          const bytes = held + waiting.reduce((sum, packet) => sum + packet.length, 0);
          expect(queue.bytes).toBe(bytes);
          expect(queue.isEmpty).toBe(waiting.length === 0);
          if (bytes >= 30) expect(queue.paused).toBe(true);
          expect(queue.paused).toBe(flow.length % 2 === 1);
        }
        expect(flow).toEqual(flow.map((_, index) => (index % 2 === 0 ? 'pause' : 'resume')));
      }),
    );
  });
});
