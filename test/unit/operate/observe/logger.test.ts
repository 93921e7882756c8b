import { describe, expect, it } from 'vitest';
import { Secret } from '../../../../src/config/secret.ts';
import { RowcallError } from '../../../../src/errors.ts';
import { createLogger } from '../../../../src/operate/observe/logger.ts';

type Line = Readonly<Record<string, unknown>>;

/** A logger and the lines it wrote. */
function logger(level = 'info'): { log: ReturnType<typeof createLogger>; lines: () => Line[] } {
  const written: string[] = [];
  const destination = { write: (text: string) => void written.push(text) };
  return {
    log: createLogger({ level, terminal: false, destination }),
    lines: () => written.map((text) => JSON.parse(text) as Line),
  };
}

describe('a log line', () => {
  it('is JSON with the time, the level by its name, the fields and the sentence', () => {
    const { log, lines } = logger();
    log.warn({ callback: 'orders', attempt: 3 }, 'The endpoint cannot be reached');
    expect(lines()).toEqual([
      {
        level: 'warn',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
        callback: 'orders',
        attempt: 3,
        msg: 'The endpoint cannot be reached',
      },
    ]);
  });

  it('is written from the level that was asked for', () => {
    const { log, lines } = logger('warn');
    log.debug({}, 'no');
    log.info({}, 'no');
    log.warn({}, 'yes');
    log.error({}, 'yes');
    expect(lines().map((line) => line['msg'])).toEqual(['yes', 'yes']);
  });

  it('shows no secret, wherever it stands', () => {
    const { log, lines } = logger();
    const secret = 'hunter2-hunter2';
    log.info(
      {
        password: secret,
        source: { password: secret },
        deliver: { headers: { authorization: secret }, secrets: [secret], own: new Secret(secret) },
      },
      'Configuration',
    );
    const text = JSON.stringify(lines());
    expect(text).not.toContain(secret);
    expect(text).toContain('***');
  });

  it('tells the code, place and cure of an error, and the message and code of its cause', () => {
    const { log, lines } = logger();
    const cause = Object.assign(new Error('connect'), { code: 'ECONNREFUSED', options: 'hunter2' });
    const err = new RowcallError('SOURCE_UNREACHABLE', 'No server', { place: '10.0.0.1', cause });
    log.error({ err }, 'Stopped by an error');
    expect(lines()[0]?.['err']).toEqual({
      code: 'SOURCE_UNREACHABLE',
      message: 'No server',
      place: '10.0.0.1',
      cure: err.cure,
      cause: { name: 'Error', message: 'connect', code: 'ECONNREFUSED' },
    });
  });

  it('has the stack of what is a defect', () => {
    const { log, lines } = logger();
    log.error({ err: new TypeError('x is undefined') }, 'Failed');
    expect(lines()[0]?.['err']).toMatchObject({
      name: 'TypeError',
      stack: expect.stringContaining('logger.test') as string,
    });
  });
});
