/**
 * The source of a function that writes one row image of one table version as JSON. Invariant: nothing of a table map
 * stands in it but whole numbers that are computed here (offsets, widths, and bytes of labels in words of four); all
 * else is handed in as a constant. So no name, label or value can become code.
 */

import { assert } from '../../shared/assert.ts';
import { valueReader, valueSkipper } from '../decode/column-reader.ts';
import { RENDERED, type Column } from '../decode/column.ts';
import { LARGE_BYTES } from '../decode/json-text.ts';
import type { TableVersion } from '../decode/table-map.ts';
import type { ValueForm, ValueReader } from '../decode/types/value-reader.ts';
import { digitGroups } from './write-number.ts';
import { LabelTexts } from './write-text.ts';
import { DayMemory } from './write-time.ts';

/** What to write of a table version. */
export interface ImagePlan {
  readonly table: TableVersion;
  /** In the table's order; those rendered in a way of their own are of the type RENDERED. */
  readonly columns: readonly Column[];
  /** Of these columns, in the key's order and with the key's names: where their values stand is noted. */
  readonly key: readonly Column[];
}

/** A part of an image: `source` is the body of a function of the image's state `s`. */
export interface ImageCode {
  readonly source: string;
  /** What the source calls `c0`, `c1` and so on. */
  readonly constants: readonly unknown[];
}

/** V8 does not optimize a function that is very long. */
const COLUMNS_PER_PART = 64;
/** Numbers, dates and times take less; a DECIMAL at most 65 digits with sign, point and quotes. */
const FIXED_BYTES = 32;
const DECIMAL_BYTES = 72;
const QUOTES_BYTES = 2;
/** Labels are written in words of four bytes, numbers by overlapping writes: so much may follow the last one. */
const SLACK = 16;

/** The functions of one image, to be called one after another. */
export function imageCode(plan: ImagePlan): readonly ImageCode[] {
  const wanted = new Map(plan.columns.map((column) => [column.index, column]));
  const { columns } = plan.table;
  const parts: ImageCode[] = [];
  let written = 0;
  for (let from = 0; from < columns.length; from += COLUMNS_PER_PART) {
    const part = new Part(plan, columns.length);
    const to = Math.min(from + COLUMNS_PER_PART, columns.length);
    if (from === 0) part.nullBitmap();
    for (const column of columns.slice(from, to)) {
      // As it is wanted, not as it is stored: that is how a masked value stays out of every buffer.
      const asWanted = wanted.get(column.index);
      if (asWanted === undefined) part.skip(column);
      else part.write(asWanted, written++ === 0);
    }
    if (to === columns.length) part.close(written === 0);
    parts.push(part.code());
  }
  return parts;
}

/** A number as it may stand in source. */
function int(value: number): string {
  assert(Number.isSafeInteger(value), 'only whole numbers stand in generated source');
  return String(value);
}

type TimeForm = Extract<ValueForm, { kind: 'date' | 'datetime' | 'time' | 'timestamp' }>;
type NumberForm = Exclude<ValueForm, TimeForm | { kind: 'text' | 'base64' | 'label' }>;

function isTime(form: ValueForm): form is TimeForm {
  return ['date', 'datetime', 'time', 'timestamp'].includes(form.kind);
}

class Part {
  readonly #plan: ImagePlan;
  readonly #bitmapBytes: number;
  readonly #constants: unknown[] = [];
  readonly #lines: string[] = [];
  /** The most that all but texts take in this part. */
  #fixedBytes = SLACK;

  constructor(plan: ImagePlan, columns: number) {
    this.#plan = plan;
    this.#bitmapBytes = (columns + 7) >> 3;
  }

  /** The image's null bitmap, in front of its values; the later parts learn from the state where it stands. */
  nullBitmap(): void {
    this.#lines.push(`n=p;p+=${int(this.#bitmapBytes)};if(p>e)return 1;`);
  }

  write(column: Column, first: boolean): void {
    const { index } = column;
    const keyParts = this.#plan.key.flatMap((part, i) => (part.index === index ? [2 * i] : []));
    this.#bytes(Buffer.from(`${first ? '{' : ','}${JSON.stringify(column.name)}:`, 'utf8'));
    for (const at of keyParts) this.#lines.push(`k[${int(at)}]=o;`);
    this.#lines.push(`if(b[n+${int(index >> 3)}]&${int(1 << (index & 7))}){`);
    this.#bytes(NULL);
    this.#lines.push('}else{', this.#value(column), '}');
    for (const at of keyParts) this.#lines.push(`k[${int(at + 1)}]=o;`);
  }

  skip(column: Column): void {
    const { index } = column;
    const skip = this.#constant(valueSkipper(column));
    this.#lines.push(
      `if(!(b[n+${int(index >> 3)}]&${int(1 << (index & 7))})){x=s.cursor(p);${skip}(x);p=x.at;}`,
    );
  }

  close(empty: boolean): void {
    this.#bytes(Buffer.from(empty ? '{}' : '}'));
  }

  code(): ImageCode {
    const source = [
      'const b=s.body,v=s.view,e=s.end,t=s.out,w=s.outView,k=s.keys,',
      `l=s.limit-${int(this.#fixedBytes)};let p=s.p,o=s.o,n=s.n,x=0,y=0,z=0;if(o>l)return 2;`,
      ...this.#lines,
      's.p=p;s.o=o;s.n=n;return 0;',
    ].join('');
    return { source, constants: this.#constants };
  }

  /** The bytes, in words of four: what the last one writes too much is written over. */
  #bytes(bytes: Buffer): void {
    const words = Buffer.alloc((bytes.length + 3) & ~3);
    bytes.copy(words);
    for (let at = 0; at < words.length; at += 4) {
      this.#lines.push(`w.setInt32(o+${int(at)},${int(words.readInt32LE(at))},true);`);
    }
    this.#lines.push(`o+=${int(bytes.length)};`);
    this.#fixedBytes += bytes.length;
  }

  #constant(value: unknown): string {
    this.#constants.push(value);
    return `c${int(this.#constants.length - 1)}`;
  }

  #value(column: Column): string {
    const reader = valueReader(column);
    const { form } = reader;
    return form === undefined || column.type === RENDERED
      ? this.#read(reader)
      : this.#form(form, reader);
  }

  /** The plain reader's text. */
  #read(reader: ValueReader): string {
    const constant = this.#constant(reader);
    return `x=s.cursor(p);o=madeText(s,${constant}.read(x),o);if(o<0)return -o;p=x.at;if(o>l)return 2;`;
  }

  #form(form: ValueForm, reader: ValueReader): string {
    if (form.kind === 'text') return this.#text(form);
    if (form.kind === 'base64') return this.#base64(form);
    if (form.kind === 'label') {
      const texts = this.#constant(new LabelTexts(reader, form.bytes));
      return this.#fixed(form.bytes, `${texts}.write(s,p,o)`, 0, 'if(o>l)return 2;');
    }
    return isTime(form) ? this.#time(form) : this.#number(form);
  }

  #time(form: TimeForm): string {
    switch (form.kind) {
      case 'date':
        return this.#fixed(3, 'date(s,p,o)');
      case 'datetime':
        return this.#fixed(5 + fractionBytes(form), `datetime(s,p,o,${int(form.digits)})`);
      case 'time':
        return this.#fixed(3 + fractionBytes(form), `time(s,p,o,${int(form.digits)})`);
      case 'timestamp': {
        const constant = this.#constant({ digits: form.digits, days: new DayMemory() });
        return this.#fixed(4 + fractionBytes(form), `timestamp(s,p,o,${constant})`);
      }
    }
  }

  #number(form: NumberForm): string {
    switch (form.kind) {
      case 'integer':
        return this.#fixed(form.bytes, integerCode(form.bytes, form.unsigned));
      case 'bit':
        return this.#fixed(form.bytes, `bit(s,p,o,${int(form.bytes)})`);
      case 'year':
        return this.#fixed(1, 'unsigned(t,o,b[p]===0?0:1900+b[p])');
      case 'float':
        return this.#fixed(4, 'float(t,o,v.getFloat32(p,true))');
      case 'double':
        return this.#fixed(8, 'double(t,o,v.getFloat64(p,true))');
      case 'decimal': {
        const groups = digitGroups(form.precision, form.scale);
        const bytes = groups.reduce((sum, group) => sum + group.bytes, 0);
        return this.#fixed(bytes, `decimal(s,p,o,${this.#constant(groups)})`, DECIMAL_BYTES);
      }
    }
  }

  /** A value of so many bytes; where the writer says no, its answer tells why. */
  #fixed(bytes: number, call: string, textBytes = FIXED_BYTES, after = ''): string {
    this.#fixedBytes += textBytes;
    return `if(p+${int(bytes)}>e)return 1;o=${call};if(o<0)return -o;p+=${int(bytes)};${after}`;
  }

  #text(form: Extract<ValueForm, { kind: 'text' }>): string {
    this.#fixedBytes += QUOTES_BYTES;
    const slow = form.utf8
      ? 'utf8Text(s,p,y,z)'
      : `madeText(s,${this.#constant(form.quote)}(b,p,y),z)`;
    return `${lengthCode(form.lengthBytes)}if(o+x>l)return 2;z=o;o=asciiText(s,p,y,z);if(o<0){o=${slow};if(o<0)return -o;if(o>l)return 2;}p=y;`;
  }

  #base64(form: Extract<ValueForm, { kind: 'base64' }>): string {
    const { lengthBytes, padTo } = form;
    // Longer than its column: not ours to judge.
    const refuse = padTo > 0 ? `if(x>${int(padTo)})return 1;x=${int(padTo)};` : '';
    return `${lengthCode(lengthBytes)}${refuse}if(o+base64Bytes(x)>l)return 2;o=base64Text(s,{from:p,to:y,length:x},o);p=y;`;
  }
}

const NULL = Buffer.from('null');

function fractionBytes({ digits }: { readonly digits: number }): number {
  return (digits + 1) >> 1;
}

function integerCode(bytes: 1 | 2 | 3 | 4 | 8, unsigned: boolean): string {
  const sign = unsigned ? 'unsigned' : 'signed';
  switch (bytes) {
    case 1:
      return `${sign}(t,o,${unsigned ? 'b[p]' : 'v.getInt8(p)'})`;
    case 2:
      return `${sign}(t,o,${unsigned ? 'v.getUint16(p,true)' : 'v.getInt16(p,true)'})`;
    case 3: {
      const value = 'b[p]|b[p+1]<<8|b[p+2]<<16';
      return `${sign}(t,o,${unsigned ? value : `(${value})<<8>>8`})`;
    }
    case 4:
      return `${sign}(t,o,${unsigned ? 'v.getUint32(p,true)' : 'v.getInt32(p,true)'})`;
    case 8:
      return unsigned
        ? 'unsigned64(t,o,v.getUint32(p+4,true),v.getUint32(p,true))'
        : 'signed64(t,o,v.getInt32(p+4,true),v.getUint32(p,true))';
  }
}

/** `x` becomes the length, `p` and `y` the ends of the value. Large values are the plain decoder's: it writes them without a copy. */
function lengthCode(lengthBytes: number): string {
  const bytes = Array.from({ length: lengthBytes }, (_, i) =>
    i === 3 ? `b[p+3]*16777216` : `(b[p+${int(i)}]<<${int(8 * i)})`,
  );
  return `if(p+${int(lengthBytes)}>e)return 1;x=${bytes.join('+')};p+=${int(lengthBytes)};y=p+x;if(y>e||x>=${int(LARGE_BYTES)})return 1;`;
}
