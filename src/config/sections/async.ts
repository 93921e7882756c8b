/** Asynchronous callbacks: `deliver.async`, and `completions`, where receivers tell the end of their events. */

import { z } from 'zod';
import { duration, expecting, hostAndPort } from '../scalars.ts';
import { doneWhenSchema, failedWhenSchema, statusUrlSchema } from './expressions.ts';

const completionSchema = z
  .strictObject(
    {
      mode: z
        .literal('poll', { error: 'must be poll; without completion the receiver tells the end' })
        .describe('poll: the status URL of each event is asked.'),
      url: statusUrlSchema.optional(),
      interval: duration(['1s', '1d']).prefault('5s').describe('Between two questions.'),
      done_when: doneWhenSchema,
      failed_when: failedWhenSchema.optional(),
    },
    { error: expecting('a mapping', `{ mode: poll, done_when: 'body.state == "done"' }`) },
  )
  .optional()
  .transform((written) =>
    written === undefined
      ? null
      : {
          url: written.url ?? null,
          intervalMs: written.interval,
          doneWhen: written.done_when,
          failedWhen: written.failed_when ?? null,
        },
  )
  .describe('Asks for the end of an event, instead of being told it.');

export const asyncSchema = z
  .strictObject(
    {
      deadline: duration(['1s', '365d'])
        .prefault('10m')
        .describe('From the 202 to the end of the event; then it is tried again.'),
      heartbeat: duration(['1s', '365d'])
        .optional()
        .describe('How long nothing may be heard before the event is tried again.'),
      completion: completionSchema,
    },
    { error: expecting('a mapping', '{ deadline: 10m, heartbeat: 30s }') },
  )
  .optional()
  .transform((written) =>
    written === undefined
      ? null
      : {
          deadlineMs: written.deadline,
          heartbeatMs: written.heartbeat ?? null,
          completion: written.completion,
        },
  )
  .describe('Then 202 says that the end of an event is told later; with url.');

export const completionsSchema = z
  .strictObject(
    {
      listen: hostAndPort('127.0.0.1:8687')
        .prefault('127.0.0.1:8687')
        .describe('Address at which receivers tell the end of their events.'),
      public_url: z
        .string({ error: expecting('a URL', 'https://rowcall.example.com') })
        .superRefine((text, context) => {
          const fault = publicFault(text);
          if (fault !== null) context.addIssue({ code: 'custom', message: fault });
        })
        .describe('The same as receivers reach it: what completion URLs begin with.'),
    },
    { error: expecting('a mapping', '{ public_url: https://rowcall.example.com }') },
  )
  .optional()
  .transform((written) =>
    written === undefined ? null : { listen: written.listen, publicUrl: written.public_url },
  )
  .describe('Where receivers of asynchronous callbacks tell the end of their events.');

function publicFault(text: string): string | null {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    return 'must be an http or https URL, such as https://rowcall.example.com';
  }
  if (url.username !== '' || url.password !== '') return 'must not hold a user or password';
  return url.search === '' && url.hash === '' ? null : 'must end with its path: no ? and no #';
}
