/** A JSON document from the one before it and the changes that a partial update wrote. */

import { ByteCursor, malformed } from '../byte-cursor.ts';
import type { JsonText } from './json-text.ts';
import { JsonTree } from './json-tree.ts';
import { composed } from './types/json.ts';

/** enum_json_diff_operation in mysql's sql-common/json_diff.h. */
const REPLACE = 0;
const INSERT = 1;
const REMOVE = 2;

/**
 * The text of the document behind the changes, as SELECT prints it. Each change is an operation (u8), a path and, but
 * for a removal, a document in the binary form, both behind their packed length.
 *
 * @param diffs to their end: a value may hold any number of them
 * @throws RowcallError BINLOG_EVENT_MALFORMED where a change does not fit the document; VALUE_INVALID
 */
export function patchedJson(document: Buffer, diffs: Buffer): JsonText {
  const tree = JsonTree.of(document);
  const reader = new ByteCursor(diffs);
  while (!reader.atEnd) {
    const operation = reader.u8();
    const path = reader.slice(reader.packed("a path's length"));
    if (operation === REMOVE) {
      tree.remove(path);
      continue;
    }
    const value = reader.slice(reader.packed("a document's length"));
    if (operation === REPLACE) tree.replace(path, value);
    else if (operation === INSERT) tree.insert(path, value);
    else throw malformed(`A JSON change of the unknown kind ${operation}`);
  }
  return composed(document.length + diffs.length, (sink) => {
    tree.write(sink);
  });
}
