import { expect, test } from 'vitest';
import type { OutgoingEvent, Outcome } from '../../../../src/deliver/callback/sender.ts';
import { AsyncSender } from '../../../../src/deliver/completion/async-sender.ts';
import { AttemptsInFlight } from '../../../../src/deliver/completion/attempts-in-flight.ts';
import { sampleEvent } from '../callback/sample-event.ts';

const ACCEPTED: Outcome = { kind: 'accepted' };

test.each<[string, Outcome]>([
  ['a 202', ACCEPTED],
  ['a failure', { kind: 'failed', error: 'HTTP 500', status: 500 }],
])(
  'a dead letter sent again has no URL for its end, and %s is all that is known of it',
  async (_, outcome) => {
    const attempts = new AttemptsInFlight();
    const event = sampleEvent('{"id":1}', { resend: true });
    const at = { ...event, attempt: 2 };
    let sent: OutgoingEvent | null = null;
    let toldInFlight = true;
    const sender = new AsyncSender(
      {
        send: (one) => {
          sent = one;
          toldInFlight = attempts.ends(at, 'succeeded');
          return Promise.resolve(outcome);
        },
        close: () => Promise.resolve(),
      },
      {
        ...{ callback: 'billing', attempts, endingOf: () => Promise.resolve(null) },
        urlOf: () => 'https://completions.example.com/1',
        statusUrlOf: () => {
          throw new Error('no status URL');
        },
      },
    );
    expect(await sender.send(event, 2, new AbortController().signal)).toEqual(outcome);
    expect(sent).toEqual(event);
    expect([toldInFlight, attempts.ends(at, 'succeeded')]).toEqual([false, false]);
  },
);
