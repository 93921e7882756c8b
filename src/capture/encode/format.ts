/** What a format of records is to the encoder: how it names keys, and how it writes one half of a row change. */

import type { EventHalf, OperationCode } from '../../change-event.ts';
import type { RowImage } from '../decode/rows.ts';
import type { Route } from '../route/router.ts';
import type { RowContext } from './encode-row.ts';

/** A column and the text in front of its value: as the first of an object, `{"id":`, and behind another, `,"id":`. */
export interface Label {
  readonly index: number;
  readonly first: string;
  readonly next: string;
}

/** A row change; of one that changes the key, the delete or the create. */
export interface Half {
  readonly operation: OperationCode;
  readonly half: EventHalf;
  readonly before: RowImage | null;
  readonly after: RowImage | null;
  /** In the format's own form; null for a table without a key. */
  readonly key: string | null;
}

/** What a writer may need of a row beside its values. */
export interface RowTexts {
  readonly context: RowContext;
  /** The columns of the event. */
  readonly labels: readonly Label[];
  readonly id: string;
  /** `{"version":…}`: the envelope's source. */
  readonly source: string;
}

/** Takes a record's value piece by piece. */
export interface ValueSink {
  readonly add: (text: string) => void;
  readonly addImage: (
    columns: { readonly labels: readonly Label[] },
    image: RowImage | null,
  ) => void;
  /** The same without its closing bracket, ready for a further member. */
  readonly addOpenImage: ValueSink['addImage'];
  /** The whole envelope of the default format. */
  readonly addEnvelope: () => void;
}

type Headers = readonly (readonly [name: string, value: string])[];

/** Made once per route: what is the same for all rows of a table is made then. */
export interface Format {
  /** In front of the first value of the key, and of each further one. */
  readonly keyStart: string;
  readonly keyPrefix: string;
  /** Writes the value, and returns the record's headers. */
  readonly write: (sink: ValueSink, row: RowTexts, half: Half) => Headers;
}

/** @throws RowcallError COLUMN_RULE_UNFIT */
export type FormatMaker = (route: Route) => Format;

export function labelsOf(columns: Route['columns'], start = '{', prefix = ''): readonly Label[] {
  return columns.map(({ index, name }) => {
    const label = `${JSON.stringify(prefix + name)}:`;
    return { index, first: start + label, next: `,${label}` };
  });
}
