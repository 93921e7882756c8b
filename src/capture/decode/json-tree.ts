/** A JSON document that can be changed: opened only along the paths of its changes, the rest as it is stored. */

import { ByteCursor, malformed } from '../byte-cursor.ts';
import { type PathLeg, parseJsonPath } from './json-path.ts';
import { quoteUtf8, type TextSink } from './json-text.ts';
import { CONTAINERS, isInlined, writeJsonValue } from './types/json.ts';

/** A value in the binary form: its document, its kind, and where its own bytes begin. */
interface Stored {
  readonly document: Buffer;
  readonly kind: number;
  readonly at: number;
}

interface Member {
  readonly key: Buffer;
  readonly value: JsonTree;
}

type Content =
  | { readonly type: 'stored'; readonly stored: Stored }
  | { readonly type: 'array'; readonly cells: JsonTree[] }
  /** In the server's order: by length, then by bytes. */
  | { readonly type: 'object'; readonly members: Member[] };

/** The server's own limit is 100. */
const MAX_DEPTH = 101;

/**
 * Invariant: members stand in the server's order, so that the text is the one that SELECT prints. Nothing is
 * copied out of the documents, and nothing below an unopened value is looked at before it is written.
 */
export class JsonTree {
  #content: Content;

  private constructor(stored: Stored) {
    this.#content = { type: 'stored', stored };
  }

  /** A whole document; an empty one, which INSERT IGNORE can leave, is JSON null. */
  static of(document: Buffer): JsonTree {
    const bytes = document.length === 0 ? EMPTY : document;
    return new JsonTree({ document: bytes, kind: bytes.readUInt8(0), at: 1 });
  }

  /** Puts another value in the place of the one at the path. @throws RowcallError BINLOG_EVENT_MALFORMED */
  replace(path: Buffer, document: Buffer): void {
    const target = this.#seek(parseJsonPath(path));
    target.#content = JsonTree.of(document).#content;
  }

  /** Adds a member, or a cell before the one at the path: those behind it move. @throws as `replace` */
  insert(path: Buffer, document: Buffer): void {
    const { parent, leg } = this.#seekParent(path);
    const content = parent.#open();
    const value = JsonTree.of(document);
    if ('key' in leg && content.type === 'object') {
      const at = placeOf(content.members, leg.key);
      if (content.members[at]?.key.equals(leg.key) === true) throw misfit('has the member already');
      content.members.splice(at, 0, { key: leg.key, value });
    } else if ('index' in leg && content.type === 'array') {
      content.cells.splice(insertionIndex(leg, content.cells.length), 0, value);
    } else throw misfit('has another kind of value there');
  }

  /** @throws as `replace` */
  remove(path: Buffer): void {
    const { parent, leg } = this.#seekParent(path);
    const content = parent.#open();
    if ('key' in leg && content.type === 'object') {
      const at = content.members.findIndex(({ key }) => key.equals(leg.key));
      if (at < 0) throw misfit('lacks the member');
      content.members.splice(at, 1);
    } else if ('index' in leg && content.type === 'array') {
      const at = cellIndex(leg, content.cells.length);
      if (at === null) throw misfit('lacks the cell');
      content.cells.splice(at, 1);
    } else throw misfit('has another kind of value there');
  }

  write(sink: TextSink, depth = 0): void {
    const content = this.#content;
    if (content.type === 'stored') {
      const { document, kind, at } = content.stored;
      writeJsonValue(document, { kind, at, depth }, sink);
      return;
    }
    if (depth > MAX_DEPTH) throw malformed('The JSON document is nested too deeply');
    sink.push(content.type === 'array' ? '[' : '{');
    if (content.type === 'array') {
      for (const [i, cell] of content.cells.entries()) {
        if (i > 0) sink.push(',');
        cell.write(sink, depth + 1);
      }
    } else {
      for (const [i, { key, value }] of content.members.entries()) {
        if (i > 0) sink.push(',');
        sink.push(quoteUtf8(key, 0, key.length));
        sink.push(':');
        value.write(sink, depth + 1);
      }
    }
    sink.push(content.type === 'array' ? ']' : '}');
  }

  #seekParent(path: Buffer): { readonly parent: JsonTree; readonly leg: PathLeg } {
    const legs = parseJsonPath(path);
    const leg = legs.pop();
    if (leg === undefined) throw misfit('has nothing above its root');
    return { parent: this.#seek(legs), leg };
  }

  #seek(legs: readonly PathLeg[]): JsonTree {
    return legs.reduce<JsonTree>((tree, leg) => tree.#child(leg), this);
  }

  /** The first and the last cell of a value that is no array are the value itself, as everywhere in MySQL. */
  #child(leg: PathLeg): JsonTree {
    const content = this.#open();
    if ('key' in leg) {
      const members = content.type === 'object' ? content.members : [];
      const found = members.find(({ key }) => key.equals(leg.key));
      if (found === undefined) throw misfit('lacks the member');
      return found.value;
    }
    const cells = content.type === 'array' ? content.cells : [this];
    const at = cellIndex(leg, cells.length);
    const found = at === null ? undefined : cells[at];
    if (found === undefined) throw misfit('lacks the cell');
    return found;
  }

  #open(): Content {
    const content = this.#content;
    if (content.type !== 'stored' || CONTAINERS[content.stored.kind] === undefined) return content;
    return (this.#content = JsonTree.#opened(content.stored));
  }

  /** The entries of a container as values of their own. Layout: `Document` in types/json.ts. */
  static #opened({ document, kind, at }: Stored): Content {
    const { wide, keyed } = CONTAINERS[kind] ?? { wide: false, keyed: false };
    const reader = cursorAt(document, at);
    const count = reader.length(wide ? 4 : 2);
    reader.skip(wide ? 4 : 2);
    const keys = keyed ? readKeys(reader, { document, at, count, wide }) : [];
    const values: JsonTree[] = [];
    for (let i = 0; i < count; i += 1) {
      const valueKind = reader.u8();
      const field = reader.claim(wide ? 4 : 2);
      const inlined = isInlined(valueKind, wide);
      const offset = wide ? document.readUInt32LE(field) : document.readUInt16LE(field);
      values.push(new JsonTree({ document, kind: valueKind, at: inlined ? field : at + offset }));
    }
    if (!keyed) return { type: 'array', cells: values };
    return {
      type: 'object',
      members: values.map((value, i) => ({ key: keys[i] ?? EMPTY, value })),
    };
  }
}

/** The literal null. */
const EMPTY = Buffer.of(0x04, 0x00);

function readKeys(
  reader: ByteCursor,
  from: {
    readonly document: Buffer;
    readonly at: number;
    readonly count: number;
    readonly wide: boolean;
  },
): Buffer[] {
  const keys: Buffer[] = [];
  for (let i = 0; i < from.count; i += 1) {
    const offset = from.wide ? reader.u32() : reader.u16();
    const length = reader.u16();
    keys.push(cursorAt(from.document, from.at + offset).slice(length));
  }
  return keys;
}

function cursorAt(document: Buffer, at: number): ByteCursor {
  if (at > document.length) throw malformed('An offset in the JSON document is beyond its end');
  return new ByteCursor(document, at);
}

function placeOf(members: readonly Member[], key: Buffer): number {
  const at = members.findIndex((member) => compareKeys(member.key, key) >= 0);
  return at < 0 ? members.length : at;
}

function compareKeys(a: Buffer, b: Buffer): number {
  return a.length === b.length ? a.compare(b) : a.length - b.length;
}

type Cell = Extract<PathLeg, { readonly index: number }>;

/** Null where there is no such cell. */
function cellIndex({ index, fromEnd }: Cell, length: number): number | null {
  if (index >= length) return null;
  return fromEnd ? length - 1 - index : index;
}

/** Beyond either end is that end. */
function insertionIndex({ index, fromEnd }: Cell, length: number): number {
  return fromEnd ? Math.max(0, length - 1 - index) : Math.min(index, length);
}

function misfit(what: string): Error {
  return malformed(`A JSON change does not fit the document before it, which ${what}`);
}
