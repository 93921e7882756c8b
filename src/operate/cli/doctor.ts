/** `rowcall doctor`: everything outside, looked at and judged; each finding with its cure. Changes nothing. */

import { existsSync } from 'node:fs';
import type { Finding } from '../../capture/preflight/check-source.ts';
import { loadConfig } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import type { ProvableLog } from '../../deliver/intake/prove-progress.ts';
import { type ErrorCode, RowcallError, toRowcallError } from '../../errors.ts';
import { silentLogger } from '../../shared/logger.ts';
import { systemClock } from '../../shared/clock.ts';
import type { Cursor } from '../../state/state-store.ts';
import { checkLog, openLog, openState } from '../../stores.ts';
import { examinePlace } from './examine-place.ts';
import { examinePrepared } from './examine-prepared.ts';
import { examineProgress } from './examine-progress.ts';
import { examineSource } from './examine-source.ts';
import type { CliIo } from './io.ts';

/** One line of the report, whoever found it. */
interface DoctorFinding {
  readonly part: 'source' | 'log' | 'state';
  readonly severity: 'error' | 'warning' | 'note';
  readonly check: string;
  readonly value: string;
  readonly want: string;
  readonly why: string;
  readonly cure: string;
}

/** Each part is looked at, whatever the others have. @throws RowcallError of the first part with an error */
export async function examine(
  options: { readonly config: string; readonly json?: boolean },
  io: CliIo,
): Promise<void> {
  const config = await loadConfig(options.config, io.env);
  const source = await attempt('source', () => sourceFindings(config, io.signal));
  const { findings: state, cursors } = await examineState(config);
  let place: readonly DoctorFinding[] = [];
  const log = await attempt('log', async () => {
    const { findings: found, checkpoint } = await examineLog(config, cursors, state.length === 0);
    const usable = source.every(({ severity }) => severity !== 'error');
    place = await placeFindings(config, checkpoint, { usable, signal: io.signal });
    return found;
  });
  const findings = [...source, ...place, ...log, ...state];
  const errors = findings.filter(({ severity }) => severity === 'error');
  if (options.json === true) {
    io.out(`${JSON.stringify({ fit: errors.length === 0, findings }, null, 2)}\n`);
  } else {
    io.out(report(config.name, findings));
  }
  const [first] = errors;
  if (first === undefined) return;
  const count = errors.length === 1 ? 'one thing stands' : `${errors.length} things stand`;
  throw new RowcallError(CODE[first.part], `${count} in the way of a start`, {
    cure: 'See the findings above.',
  });
}

/** Each ends the process with 3: cannot be used as it is. */
const CODE: Readonly<Record<DoctorFinding['part'], ErrorCode>> = {
  source: 'SOURCE_UNFIT',
  log: 'LOG_UNFIT',
  state: 'STATE_UNUSABLE',
};

/** What cannot be looked at is a finding as well, so that one part does not hide the others. */
async function attempt(
  part: DoctorFinding['part'],
  look: () => Promise<readonly DoctorFinding[]>,
): Promise<readonly DoctorFinding[]> {
  try {
    return await look();
  } catch (error) {
    const failure = toRowcallError(error);
    if (failure.code === 'INTERNAL') throw failure;
    return [failed(part, failure)];
  }
}

function failed(part: DoctorFinding['part'], failure: RowcallError): DoctorFinding {
  return {
    part,
    severity: 'error',
    check: failure.place ?? part,
    value: failure.code,
    want: 'usable',
    why: failure.message,
    cure: failure.cure,
  };
}

async function sourceFindings(config: Config, signal: AbortSignal): Promise<DoctorFinding[]> {
  return ofSource(await examineSource(config, signal));
}

/** @param usable false where what keeps the source from being used is told of already */
async function placeFindings(
  config: Config,
  checkpoint: string | null,
  { usable, signal }: { readonly usable: boolean; readonly signal: AbortSignal },
): Promise<readonly DoctorFinding[]> {
  const place = await attempt('source', async () =>
    ofSource(await examinePlace(config, checkpoint, { toldUnfit: !usable, signal })),
  );
  if (!usable || place.length > 0) return place;
  return attempt('source', async () => ofSource(await examinePrepared(config, checkpoint, signal)));
}

function ofSource(findings: readonly Finding[]): DoctorFinding[] {
  return findings.map(({ sql, ...finding }) => ({ part: 'source', ...finding, cure: sql }));
}

interface ExaminedLog {
  readonly findings: readonly DoctorFinding[];
  /** As it stands there; null where there is none. */
  readonly checkpoint: string | null;
}

/** @param withState the state store can be looked at beside it */
async function examineLog(
  config: Config,
  cursors: readonly Cursor[],
  withState: boolean,
): Promise<ExaminedLog> {
  const progress = (log: ProvableLog | null): Promise<DoctorFinding[]> =>
    withState ? progressFindings(config, log) : Promise.resolve([]);
  // The first start makes it; until then there is nothing to look at but a state that knows of another.
  if (config.log.type === 'embedded' && !existsSync(config.log.path)) {
    return { findings: await progress(null), checkpoint: null };
  }
  const log = await openLog(config, { clock: systemClock, logger: silentLogger, create: false });
  try {
    const findings = await checkLog(config, log, cursors, systemClock.now());
    const told = findings.map(({ severity, check, value, want, why, cure }) => {
      return { part: 'log' as const, severity, check, value, want, why, cure };
    });
    const codes = new Set<string>(findings.map(({ code }) => code));
    // A cluster's topics are compared with the cursors above.
    const more = (await progress(log)).filter(({ value }) => !codes.has(value));
    return {
      findings: [...told, ...more],
      checkpoint: await log.readCheckpoint(config.name),
    };
  } finally {
    await log.close();
  }
}

/** What keeps the two from being used together is of the one that is not what the other remembers. */
async function progressFindings(config: Config, log: ProvableLog | null): Promise<DoctorFinding[]> {
  try {
    await examineProgress(config, log);
    return [];
  } catch (error) {
    const failure = toRowcallError(error);
    if (failure.code === 'INTERNAL') throw failure;
    return [failed(failure.code === 'STATE_LOST' ? 'state' : 'log', failure)];
  }
}

async function examineState(
  config: Config,
): Promise<{ readonly findings: readonly DoctorFinding[]; readonly cursors: readonly Cursor[] }> {
  if (!existsSync(config.state.path)) return { findings: [], cursors: [] };
  let cursors: readonly Cursor[] = [];
  const findings = await attempt('state', async () => {
    const state = await openState(config);
    try {
      cursors = await state.cursors();
    } finally {
      await state.close();
    }
    return [];
  });
  return { findings, cursors };
}

function report(name: string, findings: readonly DoctorFinding[]): string {
  const fit = findings.every(({ severity }) => severity === 'note');
  return [
    ...(fit ? [`${name}: source, log and state are fit.\n`] : []),
    ...findings.map(
      ({ part, severity, check, value, want, why, cure }) =>
        `${severity} ${part}: ${check} is ${value}, wanted: ${want}\n  ${why}\n  cure  ${cure}\n`,
    ),
  ].join('');
}
