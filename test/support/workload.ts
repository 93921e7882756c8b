/** A seeded random workload on a real MySQL: transactions, savepoints, rollbacks, key changes, DDL, lost connections. */

import { pause } from './rowcall-process.ts';
import { changeTables } from './workload-ddl.ts';
import { Dice, seededRandom } from './workload-random.ts';
import { WorkloadSession, codeOf } from './workload-session.ts';
import type { SessionOptions, WorkloadTransaction } from './workload-session.ts';
import { CREATE_MARKS, MARKS_TABLE, WORKLOAD_TABLES } from './workload-tables.ts';
import type { WorkloadTable } from './workload-tables.ts';
import { withConnection } from './mysql.ts';

export interface WorkloadOptions extends SessionOptions {
  readonly seed: number;
  readonly writers: number;
  /** Keys per writer and table: few, so that changes meet the same rows. */
  readonly keys: number;
  readonly ddl: boolean;
  /** Between two transactions of a writer, in ms. */
  readonly pauseMs?: number;
}

/** Errors after which the statement did nothing and the transaction goes on. */
const HARMLESS = new Set(['ER_DUP_ENTRY']);

/** Makes the tables. DDL alone: no row changes. */
export async function createWorkloadTables(url: string, database: string): Promise<void> {
  await withConnection(url, async (connection) => {
    for (const { name, create } of [
      ...WORKLOAD_TABLES,
      { name: MARKS_TABLE, create: CREATE_MARKS },
    ]) {
      await connection.query(create.replace('{t}', `\`${database}\`.\`${name}\``));
    }
  });
}

/**
 * Runs writers, and with `ddl` a changer of tables, until the signal aborts; every transaction is then
 * finished and known. Writers have keys of their own, so that they wait for each other only where a
 * table has no key.
 */
export async function runWorkload(options: WorkloadOptions, signal: AbortSignal): Promise<void> {
  const dice = (index: number): Dice => new Dice(seededRandom(options.seed * 101 + index));
  const tasks = Array.from({ length: options.writers }, (_, index) =>
    new Writer(options, index, dice(index)).run(signal),
  );
  if (options.ddl) tasks.push(changeTables(options, dice(99), signal));
  await Promise.all(tasks);
}

class Writer {
  readonly #options: WorkloadOptions;
  readonly #index: number;
  readonly #dice: Dice;

  constructor(options: WorkloadOptions, index: number, dice: Dice) {
    this.#options = options;
    this.#index = index;
    this.#dice = dice;
  }

  async run(signal: AbortSignal): Promise<void> {
    const session = new WorkloadSession(this.#options);
    try {
      while (!signal.aborted) {
        await session.transaction((transaction) => this.#write(transaction));
        await pause(this.#options.pauseMs ?? 2);
      }
    } finally {
      await session.close();
    }
  }

  async #write(transaction: WorkloadTransaction): Promise<'commit' | 'rollback'> {
    const dice = this.#dice;
    await this.#operations(transaction, dice.between(1, 6));
    if (dice.chance(0.25)) {
      const outcome = dice.chance(0.6) ? 'undo' : 'keep';
      await transaction.savepoint(async () => {
        await this.#operations(transaction, dice.between(1, 4));
        return outcome;
      });
      if (outcome === 'undo' && dice.chance(0.5)) await this.#operations(transaction, 1);
    }
    return dice.chance(0.12) ? 'rollback' : 'commit';
  }

  async #operations(transaction: WorkloadTransaction, count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      try {
        await this.#operation(transaction);
      } catch (error) {
        if (!HARMLESS.has(codeOf(error))) throw error;
      }
    }
  }

  async #operation(transaction: WorkloadTransaction): Promise<void> {
    const table = this.#dice.pick(WORKLOAD_TABLES);
    const draw = this.#dice.below(100);
    if (draw < 40) await this.#insert(transaction, table);
    else if (draw < 75) await transaction.update(table, this.#anyKey(), this.#dice);
    else if (draw < 88) await transaction.delete(table, this.#anyKey());
    else await transaction.rekey(table, this.#anyKey(), this.#anyKey());
  }

  async #insert(transaction: WorkloadTransaction, table: WorkloadTable): Promise<void> {
    const count = this.#dice.chance(0.02) ? 60 : this.#dice.pick([1, 1, 1, 3]);
    // A run of neighbouring keys: one that is taken makes the whole statement fail, and that is a case too.
    const from = count === 60 ? this.#options.keys : this.#dice.below(this.#options.keys);
    const [first, ...rest] = Array.from({ length: count }, (_, n) =>
      table.insert(this.#key(from + n), this.#dice),
    );
    if (first !== undefined) await transaction.insert(table.name, [first, ...rest]);
  }

  #anyKey(): number {
    return this.#key(this.#dice.below(this.#options.keys));
  }

  /** The n-th key of this writer; no other writer has it. */
  #key(n: number): number {
    return n * this.#options.writers + this.#index;
  }
}
