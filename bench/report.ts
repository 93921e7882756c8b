/** What was measured, as the tables that are printed. */

import { median, percentile, printTable } from './figures.ts';
import type { Rate } from './figures.ts';
import type { Latencies } from './latency.ts';

export interface Measured<T> {
  readonly name: string;
  /** In turn with each other. */
  readonly rounds: readonly T[];
}

/** One workload and everyone who carried it. */
export interface RateGroup {
  readonly title: string;
  readonly rates: readonly Measured<Rate>[];
}

const rateOf = ({ rounds }: Measured<Rate>): number =>
  median(rounds.map(({ perSecond }) => perSecond));

/** Every base that took part gets a column: the rates of its group, divided by its own. */
export function rateTable(groups: readonly RateGroup[], bases: readonly string[]): string {
  const present = bases.filter((base) =>
    groups.some(({ rates }) => rates.some(({ name }) => name === base)),
  );
  const rows = groups.flatMap(({ title, rates }) =>
    rates.map((measured) => [
      `${title}: ${measured.name}`,
      Math.round(rateOf(measured)).toString(),
      ...present.map((base) => {
        const other = rates.find(({ name }) => name === base);
        return other === undefined ? '' : (rateOf(measured) / rateOf(other)).toFixed(2);
      }),
      median(measured.rounds.map(({ cpuSeconds }) => cpuSeconds)).toFixed(1),
      median(measured.rounds.map(({ peakMiB }) => peakMiB)).toFixed(0),
    ]),
  );
  const ratios = present.map((base) => `of ${base}`);
  return printTable(['what', 'per second', ...ratios, 'CPU s', 'peak MiB'], rows);
}

export function latencyTable(what: string, runs: readonly Measured<Latencies>[]): string {
  const head = [what, 'events/s', 'p50 ms', 'p99 ms', 'sent p50', 'sent p99', 'peak MiB'];
  return printTable(
    head,
    runs.map(({ name, rounds }) => {
      const of = (pick: (run: Latencies) => readonly number[], share: number): string =>
        median(rounds.map((run) => percentile(pick(run), share))).toFixed(1);
      return [
        name,
        Math.round(median(rounds.map(({ perSecond }) => perSecond))).toString(),
        of(({ fromCommit }) => fromCommit, 0.5),
        of(({ fromCommit }) => fromCommit, 0.99),
        of(({ fromSent }) => fromSent, 0.5),
        of(({ fromSent }) => fromSent, 0.99),
        median(rounds.map(({ peakMiB }) => peakMiB)).toFixed(0),
      ];
    }),
  );
}
