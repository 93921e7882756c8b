import { describe, expect, it } from 'vitest';
import { checkRetention } from '../../../../src/capture/preflight/check-retention.ts';

const DAY_MS = 86_400_000;

/** The variables of MySQL 8.0, of which newer ones have fewer. */
const of80 = (seconds: string, days: string): ReadonlyMap<string, string> =>
  new Map([
    ['binlog_expire_logs_seconds', seconds],
    ['expire_logs_days', days],
  ]);

describe('the retention of a server', () => {
  it('is without end where nothing limits it', () => {
    for (const settings of [of80('0', '0'), new Map([['binlog_expire_logs_seconds', '0']])]) {
      expect(checkRetention(settings, 3650 * DAY_MS)).toEqual([]);
    }
  });

  it('is that of the days where the seconds are 0, and both are cured in an order that the server takes', () => {
    expect(checkRetention(of80('0', '3'), 3 * DAY_MS)).toEqual([]);
    expect(checkRetention(of80('0', '3'), 8 * DAY_MS)).toMatchObject([
      {
        check: 'expire_logs_days',
        value: '3',
        sql: 'SET PERSIST expire_logs_days = 0; SET PERSIST binlog_expire_logs_seconds = 691200;',
      },
    ]);
  });

  it('is that of the seconds where both are set', () => {
    expect(checkRetention(of80('60', '30'), DAY_MS)).toMatchObject([
      { check: 'binlog_expire_logs_seconds', value: '60' },
    ]);
  });

  it('is any where none is asked for', () => {
    expect(checkRetention(of80('1', '0'), 0)).toEqual([]);
  });
});
