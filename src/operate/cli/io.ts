/** What a command sees of the terminal and the process, so that tests can hold it. */

export interface CliIo {
  readonly out: (text: string) => void;
  /** For what is too large for a string. Default: by way of `out`. */
  readonly outBytes?: (bytes: Uint8Array) => void;
  /** Resolves when what was given to `out` was taken as far as its reader lets it. Default: at once. */
  readonly drained?: () => Promise<void>;
  /** What goes to `out` may have colours. Default: false. */
  readonly colours?: boolean;
  readonly err: (text: string) => void;
  /** Asks the person at the terminal; absent where nobody sits there. */
  readonly confirm?: (question: string) => Promise<boolean>;
  /** Logs go to a person: pretty instead of JSON. */
  readonly terminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts when the process is asked to stop. */
  readonly signal: AbortSignal;
  /** Has the listener called at each SIGHUP, which else ends the process. */
  readonly onHangUp?: (listener: () => void) => void;
}
