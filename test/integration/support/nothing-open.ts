/** For a source whose binlog tells all of its columns: nobody is ever asked. */
import { countedTypes } from '../../../src/capture/typed-tables.ts';

export const NOTHING_OPEN = countedTypes(
  { typesOf: () => Promise.reject(new Error('The binlog of MySQL leaves nothing open')) },
  { ruleOf: () => null },
);
