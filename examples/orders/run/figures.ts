/** The figures: response of the ordering call, with calls of one service after another, and with callbacks. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { RowDataPacket } from 'mysql2/promise';
import { percentile, printTable } from '../../../bench/figures.ts';
import { count, type Finding, wrongIn, wrongOutside } from './books.ts';
import type { House } from './house.ts';
import type { LoadResult } from './load.ts';

export interface MeasureOptions {
  readonly seconds: number;
  readonly rates: readonly number[];
  readonly declined: number;
}

interface Phase {
  readonly series: string;
  readonly way: 'inline' | 'callbacks';
  readonly perSecond: number;
  /** Whether the payment service is there. */
  readonly paymentUp: boolean;
}

/** A customer gives up then. */
const TIMEOUT_MS = 5_000;
/** The longest way of calls that time out one after another. */
const INLINE_MS = 15_000;
const DRAIN_TIMEOUT_MS = 300_000;
/** Compilers and pools settle in this time. */
const WARM_UP = { perSecond: 50, seconds: 2, declined: 0.1, paymentUp: true };

const HEAD = [
  'ordering call',
  'payment service',
  'offered/s',
  'answered/s',
  'failed',
  'p50 ms',
  'p99 ms',
  'ended p50 s',
  'ended p99 s',
  'broken',
];

/** Returns whether the books of all orders that were placed with callbacks balance. */
export async function measure(
  house: House,
  { seconds, rates, declined }: MeasureOptions,
  say: (line: string) => void,
): Promise<boolean> {
  const rows: string[][] = [];
  const taken: string[] = [];
  const wrong: Finding[] = [];
  await house.startRowcall();
  for (const phase of phasesOf(rates)) {
    // What others wait for is not to be slowed by Rowcall, nor taken by it.
    if (phase.way === 'inline') await startAnew(house);
    await play(house, { ...WARM_UP, way: phase.way, series: `warm-${phase.series}` }, WARM_UP);
    const result = await play(house, phase, { seconds, declined });
    const broken = await wrongIn(house.admin, phase.series);
    rows.push(await rowOf(house, phase, { result, broken, seconds }));
    say(`${rows.at(-1)?.join('  ') ?? ''}  ${JSON.stringify({ failed: result.failed, broken })}`);
    if (phase.way === 'inline') continue;
    wrong.push(...broken);
    taken.push(...result.taken.map((n) => `${phase.series}-${n}`));
  }
  wrong.push(...(await wrongOutside(house.admin, { bank: house.bank, taken })));
  say(`\n${printTable(HEAD, rows)}\n`);
  for (const { n, wrong: what } of wrong) say(`WRONG: ${n} ${what}`);
  return wrong.length === 0;
}

function phasesOf(rates: readonly number[]): readonly Phase[] {
  return (['callbacks', 'inline'] as const).flatMap((way) =>
    [...rates.map((rate) => [rate, true] as const), [rates.at(-1) ?? 0, false] as const].map(
      ([perSecond, paymentUp]) => ({
        series: `${way}-${perSecond}-${paymentUp ? 'up' : 'down'}`,
        way,
        perSecond,
        paymentUp,
      }),
    ),
  );
}

/** The services as they start, so that no phase works off what the one before left; and no Rowcall. */
async function startAnew(house: House): Promise<void> {
  await house.killRowcall();
  for (const service of Object.values(house.services)) await service.kill();
  await Promise.all(Object.values(house.services).map((service) => service.start()));
}

/** The load, and then as long as it takes until each order has ended. */
async function play(
  house: House,
  { series, way, perSecond, paymentUp }: Phase,
  load: { readonly seconds: number; readonly declined: number },
): Promise<LoadResult> {
  const { payment } = house.services;
  if (!paymentUp) await payment.kill();
  const path = way === 'inline' ? '/orders/inline' : '/orders';
  const result = await house.load({ ...load, path, series, perSecond, timeoutMs: TIMEOUT_MS });
  if (!paymentUp) await payment.start();
  await untilEnded(house, series, way);
  return result;
}

/** Of orders that were placed inline some may never end: their customers have been answered, so nobody sees to them. */
async function untilEnded(house: House, series: string, way: Phase['way']): Promise<void> {
  const deadline = performance.now() + (way === 'inline' ? INLINE_MS : DRAIN_TIMEOUT_MS);
  const open = `SELECT COUNT(*) AS n FROM orders o WHERE id LIKE ? AND (status IN ('placed', 'reserved')
    OR (status <> 'abandoned' AND NOT EXISTS (SELECT * FROM messages m WHERE m.order_id = o.id))
    OR (status = 'payment-failed'
      AND EXISTS (SELECT * FROM reservations r WHERE r.order_id = o.id AND r.state = 'reserved')))`;
  while (performance.now() < deadline) {
    if ((await count(house.admin, open, [`${series}-%`])) === 0) break;
    await sleep(250);
  }
}

async function rowOf(
  house: House,
  { series, way, paymentUp }: Phase,
  of: {
    readonly result: LoadResult;
    readonly broken: readonly Finding[];
    readonly seconds: number;
  },
): Promise<string[]> {
  const { times, taken, offered, offeredPerSecond } = of.result;
  const [rows] = await house.admin.query<RowDataPacket[]>(
    `SELECT TIMESTAMPDIFF(MICROSECOND, placed_at, settled_at) / 1e6 AS s FROM orders
     WHERE id LIKE ? AND status <> 'abandoned'`,
    [`${series}-%`],
  );
  const ended = rows.map((row) => Number(row['s']));
  const ms = (share: number): string =>
    times.length === 0 ? '-' : percentile(times, share).toFixed(1);
  const s = (share: number): string =>
    ended.length === 0 ? '-' : percentile(ended, share).toFixed(2);
  return [
    way === 'inline' ? 'one service after another' : 'callbacks',
    paymentUp ? 'up' : 'down',
    offeredPerSecond.toFixed(0),
    (taken.length / of.seconds).toFixed(0),
    `${((1 - taken.length / offered) * 100).toFixed(1)} %`,
    ms(0.5),
    ms(0.99),
    s(0.5),
    s(0.99),
    String(of.broken.reduce((sum, { n }) => sum + n, 0)),
  ];
}
