/** From where on the source's binlog is needed, and until when it is there, as `rowcall status` tells it. */

import { type Checkpoint, fileNumber, type PreparedTransaction } from '../../position.ts';
import type { BinlogForecast } from './daemon-status.ts';

export interface BinlogNeeded {
  readonly oldest_file: string;
  /** The prepared XA transaction whose rows stand in that file; null where reading itself is there. */
  readonly prepared_xid: string | null;
  /** Null where no daemon says. */
  readonly forecast: BinlogForecast | null;
}

export function binlogStatus(
  checkpoint: Checkpoint,
  forecast: BinlogForecast | null,
): BinlogNeeded {
  const oldest = oldestPrepared(checkpoint);
  return {
    oldest_file: oldest?.at?.file ?? checkpoint.file,
    prepared_xid: oldest?.xid ?? null,
    forecast,
  };
}

export function describeBinlog(checkpoint: Checkpoint, forecast: BinlogForecast | null): string {
  const { oldest_file: file, prepared_xid: xid } = binlogStatus(checkpoint, forecast);
  const since = xid === null ? '' : `, where XA transaction ${xid} is prepared`;
  return `needed from ${file} on${since}; ${describeForecast(forecast)}`;
}

function describeForecast(forecast: BinlogForecast | null): string {
  if (forecast === null) return 'no process tells when it will be purged';
  const { left_ms: left, kept_ms: kept } = forecast;
  if (left !== null) return `may be purged in ${span(left)}`;
  return kept === null ? 'never purged by itself' : 'read well before it is purged';
}

/** Where a place on another server is all there is, no file of this one can be named. */
function oldestPrepared({ prepared, file }: Checkpoint): PreparedTransaction | null {
  let oldest: PreparedTransaction | null = null;
  let number = fileNumber(file);
  for (const each of prepared) {
    if (!each.captured || each.at === null || fileNumber(each.at.file) >= number) continue;
    oldest = each;
    number = fileNumber(each.at.file);
  }
  return oldest;
}

/** In its two largest units. */
export function span(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const units = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = units.findIndex(([count]) => count > 0);
  if (first < 0) return '0 s';
  return units
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}
