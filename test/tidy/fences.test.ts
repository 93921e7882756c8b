import { ESLint } from 'eslint';
import { describe, expect, it } from 'vitest';

/** Only the fences: without the rules that ask for types, a file is judged in milliseconds. */
const eslint = new ESLint({
  ruleFilter: ({ ruleId }) => ruleId === 'no-restricted-imports',
  overrideConfig: { languageOptions: { parserOptions: { project: false } } },
});

async function refusals(file: string, imported: string): Promise<readonly string[]> {
  const text = `import { it } from '${imported}';\n`;
  const [result] = await eslint.lintText(text, { filePath: file });
  return (result?.messages ?? [])
    .filter(({ ruleId }) => ruleId === 'no-restricted-imports')
    .map(({ message }) => message);
}

describe('the fences', () => {
  it.each([
    ['src/capture/capture.ts', '../deliver/deliver.ts'],
    ['src/capture/append/appender.ts', '../../state/state-store.ts'],
    ['src/capture/capture.ts', '../config/schema.ts'],
    ['src/capture/capture.ts', '../operate/admin/server.ts'],
    ['src/capture/capture.ts', '../log/embedded/embedded-log.ts'],
    ['src/deliver/deliver.ts', '../capture/capture.ts'],
    ['src/deliver/lane/dispatcher.ts', '../../config/schema.ts'],
    ['src/deliver/deliver.ts', '../operate/admin/server.ts'],
    ['src/deliver/deliver.ts', '../log/embedded/embedded-log.ts'],
    ['src/deliver/deliver.ts', '../state/sqlite/sqlite-state.ts'],
    ['src/log/change-log.ts', '../deliver/deliver.ts'],
    ['src/log/embedded/log-file.ts', '../../capture/capture.ts'],
    ['src/state/sqlite/sqlite-state.ts', '../../deliver/deliver.ts'],
    ['src/state/state-store.ts', '../config/schema.ts'],
    ['src/config/load.ts', '../capture/capture.ts'],
    ['src/config/load.ts', '../log/change-log.ts'],
    ['src/receiver/receiver.ts', '../deliver/deliver.ts'],
    ['src/receiver/receiver.ts', '../errors.ts'],
    ['src/shared/abort.ts', '../log/change-log.ts'],
    ['src/shared/abort.ts', '../config/load.ts'],
    ['src/app.ts', './log/embedded/embedded-log.ts'],
    ['src/app.ts', './log/kafka/kafka-log.ts'],
    ['src/log/kafka/group-membership.ts', '../../deliver/deliver.ts'],
    ['src/rowcall.ts', './state/sqlite/sqlite-state.ts'],
    ['src/operate/cli/stores.ts', '../../state/sqlite/sqlite-state.ts'],
    ['src/operate/admin/server.ts', '../../log/embedded/log-file.ts'],
    ['src/deliver/deliver.ts', 'node:timers/promises'],
    ['src/operate/admin/server.ts', 'node:timers'],
    ['src/capture/capture.ts', '../../test/support/fold.ts'],
  ])('keep %s from %s', async (file, imported) => {
    expect(await refusals(file, imported)).toHaveLength(1);
  });

  it.each([
    ['src/stores.ts', './log/embedded/embedded-log.ts'],
    ['src/stores.ts', './state/sqlite/sqlite-state.ts'],
    ['src/kafka-stores.ts', './log/kafka/kafka-log.ts'],
    ['src/capture/capture.ts', '../log/change-log.ts'],
    ['src/deliver/deliver.ts', '../state/state-store.ts'],
    ['src/deliver/deliver.ts', '../change-event.ts'],
    ['src/log/embedded/embedded-log.ts', './log-file.ts'],
    ['src/state/sqlite/sqlite-state.ts', './database.ts'],
  ])('let %s take %s', async (file, imported) => {
    expect(await refusals(file, imported)).toEqual([]);
  });
});
