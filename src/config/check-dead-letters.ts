/** Topics of dead letters that a rule gives to a table. */

import { deadLetterTopic, DEAD_LETTERS } from '../dead-letter-topic.ts';
import { globsMeet } from './table-globs.ts';
import type { Problem } from './problems.ts';
import { list, problem, section, texts, type Section } from './written.ts';

const DEFAULT = '{name}.{schema}.{table}';

/**
 * What is certain, or meant: a rule for single tables that leads to such a topic, and one whose template ends as these
 * topics do. A table that leads to one by its own name, which no rule shows, is refused when it is first seen.
 */
export function checkDeadLetterTopics(root: Section): Problem[] {
  const { name } = root;
  if (typeof name !== 'string') return [];
  const topics = list(root['tables']).map((rule) => topicsOf(section(rule), name));
  return list(root['callbacks']).flatMap((value, index) => {
    const callback = section(value)['name'];
    if (typeof callback !== 'string') return [];
    const own = deadLetterTopic(name, callback);
    const rule = topics.findIndex((globs) => globs.some((glob) => globsMeet(glob, own)));
    if (rule < 0) return [];
    const text = `would have its dead letters in the topic ${own}, to which tables[${rule}] leads as well; choose another name, or another topic there`;
    return [problem(['callbacks', index, 'name'], text)];
  });
}

/** As globs: a `*` where nothing is said. */
function topicsOf(rule: Section, name: string): readonly string[] {
  const { topic = DEFAULT } = rule;
  if (typeof topic !== 'string') return [];
  const tables = texts(rule['match']).filter((glob) => !glob.startsWith('!'));
  const globs = tables.map((glob) => {
    const [schema = '*', table = '*'] = glob.split('.');
    const parts: Readonly<Record<string, string>> = { name, schema, table };
    return topic.replace(/\{([a-z_]+)\}/g, (_, part: string) => parts[part] ?? '*');
  });
  return globs.filter((glob) => glob.endsWith(DEAD_LETTERS));
}
