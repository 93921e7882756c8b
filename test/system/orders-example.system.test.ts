/** `examples/orders` as it is started by a user, small: its own books say whether each order ended as it should. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { mysqlUrl } from '../support/mysql.ts';

const RUN = fileURLToPath(new URL('../../examples/orders/run/run.ts', import.meta.url));
const QUICK = ['--service', '2-10'];

/** What it prints; rejects where it does not end with 0. */
async function run(args: readonly string[]): Promise<string> {
  const env = { ...process.env, ROWCALL_MYSQL_URL: mysqlUrl() };
  const { stdout } = await promisify(execFile)(process.execPath, [RUN, ...QUICK, ...args], { env });
  return stdout;
}

test('each order of the example ends, and ends once, over kills of a service and of Rowcall', async () => {
  const printed = await run(['--seconds', '5', '--rate', '25', '--declined', '0.3']);
  expect(printed).toContain('The payment service is killed');
  expect(printed).toContain('Rowcall is killed');
  expect(printed).toContain('125 of 125 orders were taken');
  for (const status of ['confirmed', 'payment-failed', 'sold-out']) {
    expect(printed).toMatch(new RegExp(`^${status} +[1-9]\\d* orders`, 'm'));
  }
  expect(printed).toContain('The books balance: each order');
});

test('the figures of the example are of orders whose books balance', async () => {
  const printed = await run(['--figures', '--seconds', '1', '--rate', '20']);
  expect(printed).toMatch(/^callbacks +down +\d+ +20 +0\.0 %/m);
  // The one is of goods that are sold out: nobody had to be paid.
  expect(printed).toMatch(/^one service after another +down +\d+ +1 +95\.0 %/m);
});
