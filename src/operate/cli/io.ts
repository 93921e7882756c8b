/** What a command sees of the terminal and the process, so that tests can hold it. */

export interface CliIo {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Logs go to a person: pretty instead of JSON. */
  readonly terminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts when the process is asked to stop. */
  readonly signal: AbortSignal;
}
