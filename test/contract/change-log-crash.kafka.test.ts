import { Producer } from '@platformatic/kafka';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { ChangeLog, ChangeLogWriter } from '../../src/log/change-log.ts';
import { eventually } from '../support/eventually.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { openKafka, removeAll } from './change-log-kafka-home.ts';
import { code, ids, idsOf, records } from './change-log-samples.ts';

const APPENDER = join(import.meta.dirname, 'change-log.kafka-appender.ts');

const brokers = kafkaBrokers();
let name: string;
let log: ChangeLog;
let runs = 0;

beforeEach(async () => {
  runs += 1;
  name = `crash-${process.pid}-${runs}`;
  log = await openKafka(brokers, name);
});
afterEach(async () => {
  await log.close();
  await removeAll(brokers, (one) => one.startsWith(`${name}.`));
});

interface Appender {
  readonly child: ChildProcess;
  /** Each line that it has printed. */
  readonly lines: readonly string[];
  readonly ended: Promise<{ readonly signal: string | null }>;
}

function startAppender(failpointPass = 0): Appender {
  const child = spawn(
    process.execPath,
    [APPENDER, brokers.join(','), name, String(failpointPass)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const lines: string[] = [];
  createInterface(child.stdout).on('line', (line) => lines.push(line));
  const ended = new Promise<{ signal: string | null }>((resolve) => {
    child.on('close', (_code, signal) => {
      resolve({ signal });
    });
  });
  return { child, lines, ended };
}

/** The records are exactly those that the checkpoint tells, in order. Returns their number. */
async function expectAgreement(checkpoint: string | null): Promise<number> {
  const count = Number(checkpoint);
  const all = ids(0, count);
  for (const partition of [0, 1]) {
    const at = { topic: `${name}.orders`, partition };
    expect(await idsOf(log, at)).toEqual(all.filter((_, n) => n % 2 === partition));
  }
  return count;
}

/** As a connector does that starts again: the new writer ends what the old one left open. */
const takeOver = (): Promise<ChangeLogWriter> => log.openWriter(name);

describe('Kafka log after kill -9', () => {
  test('records and checkpoint agree exactly, and nothing acknowledged is missing', async () => {
    let before = 0;
    for (const acks of [1, 3, 40, 12]) {
      const { child, lines, ended } = startAppender();
      await eventually(() => {
        expect(lines.length).toBeGreaterThanOrEqual(acks);
      });
      child.kill('SIGKILL');
      expect(await ended).toEqual({ signal: 'SIGKILL' });
      const writer = await takeOver();
      const count = await expectAgreement(writer.checkpoint);
      expect(count).toBeGreaterThanOrEqual(Number(lines.at(-1)));
      expect(count).toBeGreaterThan(before);
      before = count;
      await writer.close();
    }
  });

  test('an append that was durable but not acknowledged is there once', async () => {
    let before = 0;
    // The first passes are the writer's own record and the topics'.
    for (const pass of [4, 7]) {
      const { lines, ended } = startAppender(pass);
      expect(await ended).toEqual({ signal: 'SIGKILL' });
      const writer = await takeOver();
      const count = await expectAgreement(writer.checkpoint);
      expect(count).toBeGreaterThan(Math.max(Number(lines.at(-1) ?? 0), before));
      before = count;
      await writer.close();
    }
  });
});

describe('Kafka log and a writer that was stopped', () => {
  test('a writer that goes on after another took over is refused, and the log has nothing of it', async () => {
    const { child, lines, ended } = startAppender();
    await eventually(() => {
      expect(lines.length).toBeGreaterThanOrEqual(5);
    });
    child.kill('SIGSTOP');
    const writer = await takeOver();
    const count = await expectAgreement(writer.checkpoint);
    const at = { topic: `${name}.orders`, partition: count % 2 };
    await writer.append([{ ...at, records: records(count, 1) }], String(count + 1));
    child.kill('SIGCONT');
    expect(await ended).toEqual({ signal: null });
    expect(lines.at(-1)).toBe('WRITER_FENCED');
    expect(await expectAgreement(await log.readCheckpoint(name))).toBe(count + 1);
    await writer.append([], 'goes on');
    expect(await log.readCheckpoint(name)).toBe('goes on');
  });

  test('a writer whose epoch the broker ended itself may be opened again', async () => {
    const writer = await log.openWriter(name);
    await writer.append([], 'c1');
    await endEpoch(`rowcall.${name}`);
    await expect(writer.append([], 'c2')).rejects.toEqual(code('LOG_WRITE_FAILED'));
    const next = await log.openWriter(name);
    expect(next.checkpoint).toBe('c1');
    await next.append([], 'c3');
    expect(await log.readCheckpoint(name)).toBe('c3');
  });
});

/** What the coordinator does to a transaction that takes too long: the producer is refused, and nobody has taken over. */
async function endEpoch(transactionalId: string): Promise<void> {
  const producer = new Producer({
    clientId: 'rowcall-test',
    bootstrapBrokers: [...brokers],
    idempotent: true,
    transactionalId,
    producerId: -1n,
    producerEpoch: -1,
  });
  const transaction = await producer.beginTransaction();
  await transaction.cancel();
  await producer.close();
}
