/** What one callback did since the process began, as plain cells: they are counted for every event. */

/** Upper bounds of commit-to-callback latency, milliseconds; one more bucket counts what is above. */
export const LATENCY_BOUNDS_MS = [
  1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000, 600_000, 3_600_000,
] as const;

export class CallbackCounters {
  #delivered = 0;
  #failed = 0;
  #shapeFailed = 0;
  #dead = 0;
  #superseded = 0;
  #overdue = 0;
  #latencySumMs = 0;
  readonly #buckets = new Array<number>(LATENCY_BOUNDS_MS.length + 1).fill(0);

  get deliveredCount(): number {
    return this.#delivered;
  }

  get failedCount(): number {
    return this.#failed;
  }

  get shapeFailedCount(): number {
    return this.#shapeFailed;
  }

  /** Events set aside as dead letters. */
  get deadCount(): number {
    return this.#dead;
  }

  get supersededCount(): number {
    return this.#superseded;
  }

  /** Attempts answered with 202 of which nothing was heard in time. */
  get overdueCount(): number {
    return this.#overdue;
  }

  get latencySumMs(): number {
    return this.#latencySumMs;
  }

  /** Counts per bucket, not cumulative. */
  get latencyBuckets(): readonly number[] {
    return this.#buckets;
  }

  /** @param latencyMs from the commit at the source to the answer; clocks of two machines may make it negative */
  delivered(latencyMs: number): void {
    const latency = Math.max(0, latencyMs);
    this.#delivered += 1;
    this.#latencySumMs += latency;
    let bucket = 0;
    while (bucket < LATENCY_BOUNDS_MS.length && latency > (LATENCY_BOUNDS_MS[bucket] ?? 0)) {
      bucket += 1;
    }
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
  }

  failed(): void {
    this.#failed += 1;
  }

  /** An attempt that could not be made, since an expression has no value for its event. */
  shapeFailed(): void {
    this.#shapeFailed += 1;
  }

  superseded(): void {
    this.#superseded += 1;
  }

  wasOverdue(): void {
    this.#overdue += 1;
  }

  died(): void {
    this.#dead += 1;
  }
}
