/** Python's `standardwebhooks`, a receiver that is not of our making, in the language that is not ours either. */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { pythonPackage } from '../../services/python.ts';
import { ServiceError } from '../../services/service-error.ts';
import type { RequestFormatName } from '../../src/deliver/callback/request-format.ts';
import { isCi, say } from '../support/missing-server.ts';
import { closeEndpoints, httpEndpoint, httpSender } from '../unit/deliver/callback/endpoint.ts';
import { sampleEvent } from '../unit/deliver/callback/sample-event.ts';

const never = new AbortController().signal;
const path = await pythonPackage('standardwebhooks==1.1.0').catch((error: unknown) => {
  if (!(error instanceof ServiceError) || isCi()) throw error;
  say(`\nSKIPPING the receivers in Python. ${error.message}\n`);
  return null;
});

const VERIFY = `
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
for line in sys.stdin:
    given = json.loads(line)
    try:
        Webhook(given["secret"]).verify(given["body"], given["headers"])
        print("verified")
    except WebhookVerificationError as error:
        print(error)
`;

interface Question {
  readonly secret: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What the package says of each. */
async function verified(questions: readonly Question[]): Promise<string[]> {
  const env = { ...process.env, PYTHONPATH: path ?? '', PYTHONIOENCODING: 'utf-8' };
  const python = spawn('python3', ['-c', VERIFY], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  python.stdin.end(questions.map((question) => `${JSON.stringify(question)}\n`).join(''));
  return (await text(python.stdout)).trim().split('\n');
}

const secret = (): string => `whsec_${randomBytes(32).toString('base64')}`;

afterEach(closeEndpoints);

describe.skipIf(path === null)("Python's standardwebhooks", () => {
  it.each<RequestFormatName>([
    'standard-webhooks',
    'raw',
    'cloudevents-structured',
    'cloudevents-binary',
  ])(
    'verifies every attempt of %s, in mid-rotation with either secret, and with no other',
    async (format) => {
      const endpoint = await httpEndpoint();
      const secrets = [secret(), secret()];
      const sender = httpSender(endpoint.url, { format, secrets });
      const event = sampleEvent('{"id":7,"note":"Zoë 注文 \u{1f4e6}"}');
      for (const attempt of [1, 2]) await sender.send(event, attempt, never);
      const questions = endpoint.arrivals.flatMap(({ headers, body }) =>
        [...secrets, secret()].map((one) => ({ secret: one, headers, body })),
      );
      const each = ['verified', 'verified', 'No matching signature found'];
      expect(await verified(questions)).toEqual([...each, ...each]);
    },
  );
});
