import { describe, expect, it } from 'vitest';
import type { Handler } from '../../../../src/deliver/callback/handler.ts';
import { ModuleSender } from '../../../../src/deliver/callback/module-sender.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { webhookBody } from '../../../../src/deliver/callback/standard-webhook.ts';
import { rowEvent } from '../../../../src/deliver/callback/row-event.ts';
import type { OutgoingEvent, Outcome, Sender } from '../../../../src/deliver/callback/sender.ts';
import { ShapeSender } from '../../../../src/deliver/match/shape-sender.ts';
import type { Metadata } from '../../../../src/deliver/callback-options.ts';
import type { PayloadText } from '../../../../src/expression/payload.ts';

function eventOf(after: string, undecided = false): OutgoingEvent {
  return {
    id: 'uuid:1:shop/orders:1',
    topic: 'shop.orders',
    partition: 0,
    offset: 7,
    table: 'shop.orders',
    operation: 'c',
    key: '{"id":9007199254740993}',
    timestampMs: 0,
    value: Buffer.from(
      `{"before":null,"after":${after},"source":{"db":"shop"},"op":"c","ts_ms":1}`,
    ),
    undecided,
  };
}

async function send(
  shape: { when?: string; payload?: PayloadText; metadata?: Metadata },
  event: OutgoingEvent,
): Promise<{ readonly outcome: Outcome; readonly sent: OutgoingEvent | undefined }> {
  const sent: OutgoingEvent[] = [];
  const sender: Sender = {
    send: (one) => {
      sent.push(one);
      return Promise.resolve({ kind: 'delivered' });
    },
    close: () => Promise.resolve(),
  };
  const outcome = await new ShapeSender(sender, shape).send(event, 1, new AbortController().signal);
  return { outcome, sent: sent[0] };
}

const textOf = (body: readonly Uint8Array[]): string => Buffer.concat(body).toString('utf8');

describe('an event that is sent', () => {
  it('has the payload in the place of key, images and source, exact to the last digit', async () => {
    const payload = '{"order_id": after.id, "units": after.qty * 2, "price": after.price}';
    const { sent } = await send(
      { payload },
      eventOf('{"id":9007199254740993,"qty":4611686018427387903,"price":"10.10"}'),
    );
    expect(sent === undefined ? '' : textOf(webhookBody(sent))).toBe(
      '{"id":"uuid:1:shop/orders:1","type":"shop.orders.insert","timestamp":"1970-01-01T00:00:00.000Z",' +
        '"data":{"order_id":9007199254740993,"units":9223372036854775806,"price":"10.10"}}',
    );
    expect(sent === undefined ? null : rowEvent(sent).payload).toEqual({
      order_id: 9007199254740993n,
      units: 9223372036854775806n,
      price: '10.10',
    });
  });

  it('bears the metadata of its callback, whatever its data', async () => {
    const metadata = { team: 'logistics', tier: 2, urgent: true };
    const written = '"metadata":{"team":"logistics","tier":2,"urgent":true},"data":{';
    const whole = await send({ metadata }, eventOf('{"a":1}'));
    expect(whole.sent === undefined ? '' : textOf(webhookBody(whole.sent))).toContain(
      `${written}"key":{"id":9007199254740993},"before":null,"after":{"a":1}`,
    );
    const shaped = await send({ metadata, payload: '{"a": after.a}' }, eventOf('{"a":1}'));
    expect(shaped.sent === undefined ? '' : textOf(webhookBody(shaped.sent))).toContain(
      `${written}"a":1}}`,
    );
  });

  it('hands the metadata to a handler', async () => {
    const seen: unknown[] = [];
    const handler: Handler = (_event, { metadata }) => {
      seen.push(metadata);
    };
    const sender = new ModuleSender({
      callback: 'a',
      handler,
      timeoutMs: 1_000,
      clock: systemClock,
    });
    const { signal } = new AbortController();
    const metadata = { team: 'logistics' };
    await new ShapeSender(sender, { metadata }).send(eventOf('{"a":1}'), 1, signal);
    await sender.send(eventOf('{"a":1}'), 1, signal);
    expect(seen).toEqual([metadata, {}]);
  });

  it('is the event itself where nothing is asked of it', async () => {
    const event = eventOf('{"a":1}');
    expect((await send({ when: 'after.a == 2' }, event)).sent).toBe(event);
  });
});

describe('an event that is not sent', () => {
  it('is filtered where when does not hold, as far as that was not known', async () => {
    const { outcome, sent } = await send({ when: 'after.a == 2' }, eventOf('{"a":1}', true));
    expect([outcome, sent]).toEqual([{ kind: 'filtered' }, undefined]);
  });

  it.each([
    [{ when: 'after.a > 2' }, '{"a":null}'],
    [{ payload: '{"x": after.a + 1}' }, '{"a":"text"}'],
    [{ payload: '{"x": after.a + 1}' }, '{"a":9223372036854775807}'],
  ])('%j is shape-failed for %s', async (shape, after) => {
    const { outcome, sent } = await send(shape, eventOf(after, true));
    expect(outcome).toMatchObject({ kind: 'failed', shape: true });
    expect(outcome).toHaveProperty('error', expect.stringMatching(/^shape-failed: /));
    expect(sent).toBeUndefined();
  });

  it('fails, and not by its shape, where the record cannot be read', async () => {
    const { outcome } = await send({ when: 'after.a == 2' }, eventOf('{"a":', true));
    expect(outcome).toMatchObject({
      kind: 'failed',
      error: expect.stringContaining('ENVELOPE_INVALID') as string,
    });
    expect(outcome).not.toHaveProperty('shape');
  });
});
