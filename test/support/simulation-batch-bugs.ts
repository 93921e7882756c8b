/** Wrong parts of the way of a batch: the simulation must find them. */
import type { BatchEndpoint, BatchPost } from '../../src/deliver/callback/batch-sender.ts';
import type { Outcome, Sender } from '../../src/deliver/callback/sender.ts';
import type { PlantedBug } from './simulation-process.ts';

type Post = BatchEndpoint['post'];
type Send = Sender['send'];
type Read = BatchPost['reader']['read'];
type Body = Parameters<Read>[0];

function posting(wrong: (right: Post, ...args: Parameters<Post>) => Promise<Outcome>): PlantedBug {
  return {
    endpoint: (endpoint) => ({
      post: (...args) => wrong((...others) => endpoint.post(...others), ...args),
      redact: (text) => endpoint.redact(text),
      close: () => endpoint.close(),
    }),
  };
}

function reading(wrong: (right: Read, body: Body, batch: BatchPost) => Outcome): PlantedBug {
  return posting((post, batch, ...others) => {
    const { maxBytes, read } = batch.reader;
    const reader = { maxBytes, read: (body: Body) => wrong(read, body, batch) };
    return post({ ...batch, reader }, ...others);
  });
}

function sending(wrong: (right: Send, ...args: Parameters<Send>) => Promise<Outcome>): PlantedBug {
  return {
    batches: (sender) => ({
      send: (...args) => wrong((...others) => sender.send(...others), ...args),
      close: () => sender.close(),
    }),
  };
}

function namesSome(body: Body): body is Buffer {
  return body?.toString().startsWith('{"failed":[{') === true;
}

function elementsOf({ body }: BatchPost): readonly { readonly id: string }[] {
  return JSON.parse(Buffer.concat(body).toString()) as { id: string }[];
}

/** The next event of the batch is named in the place of each. */
function exchanged(batch: BatchPost, body: Body): Body {
  if (!namesSome(body)) return body;
  const ids = elementsOf(batch).map(({ id }) => id);
  const next = (_: string, id: string): string =>
    `"id":"${ids[(ids.indexOf(id) + 1) % ids.length] ?? id}"`;
  return Buffer.from(body.toString().replaceAll(/"id":"([^"]*)"/g, next));
}

export const PLANTED_BATCH_BUGS: Readonly<Record<string, () => PlantedBug>> = {
  'a batch of which all goes again where one event failed': () =>
    reading((read, body) => {
      const outcome = read(body);
      return namesSome(body) ? { kind: 'failed', error: 'some failed' } : outcome;
    }),
  'a partial answer that is taken for a whole one': () =>
    reading((read) => read(Buffer.from('{"failed":[]}'))),
  'an unclear answer that is taken for clear': () =>
    reading((read, body) => {
      const outcome = read(body);
      return outcome.kind === 'failed' ? { kind: 'delivered' } : outcome;
    }),
  'a failure that is given to another event of the batch': () =>
    reading((read, body, batch) => read(exchanged(batch, body))),
  'an event that is settled when it joins its batch': () =>
    sending((send, event, ...others) => {
      const sent = send(event, ...others);
      if (event.alone === true) return sent;
      sent.catch(() => undefined);
      return Promise.resolve({ kind: 'delivered' });
    }),
  'two events of a key in one request': () =>
    posting((post, batch, ...others) => {
      const elements = elementsOf(batch);
      const body = elements.length === 1 ? elements : [...elements, ...elements.slice(0, 1)];
      return post({ ...batch, body: [Buffer.from(JSON.stringify(body))] }, ...others);
    }),
  'an event of a lane that goes with others': () =>
    sending((send, event, ...others) => send({ ...event, alone: false }, ...others)),
  'a batch that goes although its callback has to wait meanwhile': () =>
    sending((send, event, attempt, signal) => send(event, attempt, signal)),
  'a batch that is sent once more when no answer came': () =>
    posting(async (post, ...args) => {
      const outcome = await post(...args);
      return outcome.kind === 'failed' ? post(...args) : outcome;
    }),
};
