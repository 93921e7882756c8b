/** A YAML text as a plain value, with the line and column of each option in it. */

import {
  LineCounter,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  parseDocument,
  type Document,
  type Node,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import type { OptionPath, Problem, TextPlace } from './problems.ts';

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A problem whose place in the text is known. */
export type PlacedProblem = Problem & { readonly place: Place };

export interface YamlSource {
  readonly value: unknown;
  readonly problems: readonly PlacedProblem[];
  /** The structure cannot be trusted: what else could be said about it would only mislead. */
  readonly unreadable: boolean;
  /** Where an option stands, or the nearest one above it that does. */
  placeOf(path: OptionPath, at: 'key' | 'value'): Place;
  /** Where a character of a text stands; the text's beginning where it is written in another way than it reads. */
  placeWithin(path: OptionPath, within: TextPlace): Place;
}

/** More than any configuration holds, aliases spelled out; a document that grows beyond it is an attack or a mistake. */
const MAX_NODES = 100_000;
const MAX_DEPTH = 64;

export function readYaml(text: string): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    lineCounter: lines,
    prettyErrors: false,
    intAsBigInt: true,
    uniqueKeys: true,
    stringKeys: false,
  });
  const faults = [...document.errors, ...document.warnings];
  const reader = new Reader(document, lines);
  const problems = faults.map((fault) => ({
    path: [],
    at: 'value' as const,
    message: faultText(fault),
    place: reader.placeAt(fault.pos[0]),
  }));
  const unreadable = faults.some(({ code }) => code !== 'DUPLICATE_KEY');
  if (unreadable) {
    return { value: null, problems, unreadable, placeOf: () => FIRST, placeWithin: () => FIRST };
  }
  const value = reader.read(document.contents, [], 0);
  return {
    value,
    problems: [...problems, ...reader.problems],
    unreadable: false,
    placeOf: (path, at) => reader.placeOf(path, at),
    placeWithin: (path, within) => {
      const offset = reader.offsetWithin(path, within, text);
      return offset === null ? reader.placeOf(path, 'value') : reader.placeAt(offset);
    },
  };
}

const FIRST: Place = { line: 1, column: 1 };

const FAULT_TEXTS: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'this key stands twice in its mapping; keep one',
  TAB_AS_INDENT: 'a tab indents this line; use spaces',
  MULTIPLE_DOCS: 'a second document begins here; keep one per file',
  TAG_RESOLVE_FAILED: 'this !tag is not known; remove it',
};

/** For the other codes the library names what it met and expected; there is no better cure to give. */
function faultText(fault: YAMLError): string {
  return FAULT_TEXTS[fault.code] ?? `not YAML: ${fault.message}`;
}

/** Walks the nodes once, keeps where each path stands, and gathers what YAML allows but we do not. */
class Reader {
  readonly problems: PlacedProblem[] = [];
  readonly #document: Document;
  readonly #lines: LineCounter;
  readonly #keys = new Map<string, Place>();
  readonly #values = new Map<string, Place>();
  /** Beginning and end of each text in the file. */
  readonly #texts = new Map<string, readonly [start: number, end: number]>();
  #nodes = 0;

  constructor(document: Document, lines: LineCounter) {
    this.#document = document;
    this.#lines = lines;
  }

  placeAt(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  placeOf(path: OptionPath, at: 'key' | 'value'): Place {
    for (let length = path.length; length >= 0; length -= 1) {
      const id = JSON.stringify(path.slice(0, length));
      const exact = length === path.length;
      // For an option that is missing, the line of the mapping it is missing from is its key's.
      const place =
        exact && at === 'value'
          ? (this.#values.get(id) ?? this.#keys.get(id))
          : (this.#keys.get(id) ?? this.#values.get(id));
      if (place !== undefined) return place;
    }
    return FIRST;
  }

  /** Null where the text in the file, line for line, is not the one that was read. */
  offsetWithin(path: OptionPath, { text, offset }: TextPlace, file: string): number | null {
    const range = this.#texts.get(JSON.stringify(path));
    if (range === undefined) return null;
    const lines = text.slice(0, offset).split('\n');
    const wanted = text.split('\n')[lines.length - 1] ?? '';
    let from = range[0];
    // A block begins behind its header; its lines stand below one another.
    for (let skipped = 0; skipped < lines.length - (text.includes('\n') ? 0 : 1); skipped += 1) {
      from = file.indexOf('\n', from) + 1;
      if (from === 0) return null;
    }
    const at = file.indexOf(wanted, from);
    if (wanted === '' || at < 0 || at + wanted.length > range[1]) return null;
    return at + (lines.at(-1)?.length ?? 0);
  }

  /** The node as a plain value. Mappings have no prototype, so that no key can reach one. */
  read(node: Node | null, path: OptionPath, depth: number): unknown {
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES || depth > MAX_DEPTH) {
      if (this.#nodes !== Number.POSITIVE_INFINITY) {
        this.#refuse(node, path, `is larger or deeper than a configuration can be; simplify it`);
      }
      this.#nodes = Number.POSITIVE_INFINITY;
      return null;
    }
    if (node === null) return null;
    if (!this.#values.has(JSON.stringify(path))) this.#remember(this.#values, path, node);
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target !== undefined) return this.read(target, path, depth + 1);
      this.#refuse(
        node,
        path,
        `*${node.source} names no &${node.source} above it; define it or write the value`,
      );
      return null;
    }
    if (isMap(node)) return this.#readMap(node, path, depth);
    if (isSeq(node)) {
      return node.items.map((item, index) => this.read(item as Node, [...path, index], depth + 1));
    }
    return isScalar(node) ? this.#readScalar(node.value, node, path) : null;
  }

  #readMap(node: YAMLMap, path: OptionPath, depth: number): unknown {
    const map = Object.create(null) as Record<string, unknown>;
    for (const pair of node.items) {
      const key: unknown = isScalar(pair.key) ? pair.key.value : undefined;
      if (typeof key !== 'string') {
        this.#refuse(pair.key as Node | null, path, 'has a key that is not text; put it in quotes');
        continue;
      }
      this.#remember(this.#keys, [...path, key], pair.key as Node);
      map[key] = this.read(pair.value as Node | null, [...path, key], depth + 1);
    }
    return map;
  }

  #readScalar(value: unknown, node: Node, path: OptionPath): unknown {
    if (typeof value === 'string' && node.range !== undefined && node.range !== null) {
      this.#texts.set(JSON.stringify(path), [node.range[0], node.range[1]]);
    }
    if (typeof value !== 'bigint') return value;
    const number = Number(value);
    if (Number.isSafeInteger(number)) return number;
    // As a number it would silently become another one.
    this.#refuse(
      node,
      path,
      'is a whole number over 2^53 - 1; write a smaller one, or text in quotes',
    );
    return null;
  }

  #remember(places: Map<string, Place>, path: OptionPath, node: Node): void {
    if (node.range !== undefined && node.range !== null) {
      places.set(JSON.stringify(path), this.placeAt(node.range[0]));
    }
  }

  #refuse(node: Node | null, path: OptionPath, message: string): void {
    const place =
      node?.range === undefined || node.range === null
        ? this.placeOf(path, 'value')
        : this.placeAt(node.range[0]);
    this.problems.push({ path, at: 'value', message, place });
  }
}
