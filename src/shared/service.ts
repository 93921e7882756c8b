/**
 * A long-lived part. `run` ends normally once the signal aborts and the part has saved and closed
 * what it holds; it rejects when it cannot go on. Nothing of it lives on after `run` has settled.
 */
export interface Service {
  readonly name: string;
  run(signal: AbortSignal): Promise<void>;
}
