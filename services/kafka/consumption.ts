/** What a running console consumer reads. */
import { RecordParser } from './console-format.ts';
import type { KafkaRecord } from './console-format.ts';
import type { ToolProcess } from './tools.ts';

const TAKE_TIMEOUT_MS = 60_000;
const KEPT_ERRORS = 4_000;

/**
 * Each record is given once, in the order the program wrote them. Nothing is read ahead of the asking:
 * a program that nobody asks stands still at a full pipe.
 */
export class KafkaConsumption {
  readonly #tool: ToolProcess;
  readonly #records: AsyncGenerator<KafkaRecord, void>;
  #errors = '';

  constructor(tool: ToolProcess) {
    this.#tool = tool;
    tool.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-KEPT_ERRORS);
    });
    this.#records = read(tool);
  }

  /** The next `count` records. Rejects when the program ends, or the time is over, before there are so many. */
  async take(count: number, timeoutMs = TAKE_TIMEOUT_MS): Promise<KafkaRecord[]> {
    const taken: KafkaRecord[] = [];
    const late = AbortSignal.timeout(timeoutMs);
    const end = (): void => {
      this.#tool.end().catch(() => undefined);
    };
    late.addEventListener('abort', end);
    try {
      while (taken.length < count) {
        const next = await this.#records.next();
        if (next.done === true) break;
        taken.push(next.value);
      }
    } finally {
      late.removeEventListener('abort', end);
    }
    if (taken.length === count) return taken;
    const why = late.aborted ? `in ${timeoutMs} ms` : 'before the console consumer ended';
    throw new Error(`${taken.length} of ${count} records came ${why}.\n${this.#errors}`.trimEnd());
  }

  /** All until the program ends by itself: it needs a `count` or `idleMs`. Rejects when it fails. */
  async rest(): Promise<KafkaRecord[]> {
    const records: KafkaRecord[] = [];
    for await (const record of this.#records) records.push(record);
    const code = await this.#tool.exited;
    if (code === 0) return records;
    throw new Error(`The console consumer ended with ${code}:\n${this.#errors}`.trimEnd());
  }

  /** Ends the program; records not taken are lost. */
  end(): Promise<void> {
    return this.#tool.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}

async function* read(tool: ToolProcess): AsyncGenerator<KafkaRecord, void> {
  const parser = new RecordParser();
  tool.stdout.setEncoding('utf8');
  for await (const text of tool.stdout as AsyncIterable<string>) yield* parser.push(text);
}
