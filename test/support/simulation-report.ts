/** What a seed's run came to. */
export interface SimulationReport {
  readonly traceHash: string;
  readonly steps: number;
  readonly records: number;
  readonly requests: number;
  readonly repeats: number;
  /** Requests with several events. */
  readonly batches: number;
  /** Attempts for dead letters. */
  readonly resends: number;
  readonly processes: number;
}

/** The promise that a seed broke, with the end of its trace. */
export class SimulationFailure extends Error {
  constructor(at: { seed: number; home: string }, cause: unknown, trace: readonly string[]) {
    const { seed, home } = at;
    const what = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    super(
      `Seed ${seed} breaks a promise.\n${what}\n\n${trace.join('\n')}\n\n` +
        `Replay: ROWCALL_SEED=${seed} ROWCALL_HOME=${home} npx vitest run --project simulate`,
      { cause },
    );
  }
}
