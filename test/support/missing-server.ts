/** What becomes of a project's tests when the server that they need is not to be had. */
import { ServiceError } from '../../services/service-error.ts';
import type { TestProject } from 'vitest/node';

const NO_TEST = /(?!)/;

/** One line on the terminal, past the runner's own report. */
export const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/**
 * What `start` gives: the project's teardown. Without a server the project's tests are skipped with a
 * loud note, or, where a machine judges, fail.
 */
export async function orSkipProject<T>(
  project: TestProject,
  title: string,
  start: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await start();
  } catch (error) {
    if (!(error instanceof ServiceError) || isCi()) throw error;
    const line = '!'.repeat(80);
    say(`\n${line}\nSKIPPING the ${project.name} tests, they need ${title}.\n${error.message}`);
    say(`${line}\n`);
    project.config.testNamePattern = NO_TEST;
    return undefined;
  }
}

/** Where a machine judges, a test that did not run must not look like one that passed. */
export function isCi(): boolean {
  const value = process.env['CI'];
  return value !== undefined && value !== '' && value !== 'false' && value !== '0';
}
