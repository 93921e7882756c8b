import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERRORS } from '../../src/error-table.ts';
import { filesIn, namedRows, read } from './repository.ts';

const rows = namedRows(read('docs/ERRORS.md'));
const codes = Object.entries(ERRORS);

describe('the table of errors', () => {
  it('is in docs/ERRORS.md, and nothing else is', () => {
    expect(
      [...rows.keys()].sort(),
      'Give each code of error-table.ts a row in docs/ERRORS.md',
    ).toEqual(codes.map(([code]) => code).sort());
  });

  it('has the same exit code and the same chance of going on there', () => {
    const wrong = codes
      .filter(([code, { exit, retriable }]) => {
        const [, shownExit, again] = rows.get(code) ?? [];
        return shownExit !== String(exit) || again !== (retriable ? 'yes' : 'no');
      })
      .map(([code, row]) => `${code}: exit ${row.exit}, again ${row.retriable ? 'yes' : 'no'}`);
    expect(wrong, 'Write these into docs/ERRORS.md').toEqual([]);
  });

  it('says for each what it means and what to do', () => {
    const bare = [...rows].filter(([, cells]) => cells.length !== 5 || cells.includes(''));
    expect(bare.map(([code]) => code)).toEqual([]);
  });

  it('holds no code that nothing in src raises', () => {
    const sources = filesIn('src', '.ts')
      .filter((file) => !['error-table', 'asked-errors', 'errors'].includes(basename(file, '.ts')))
      .map(read)
      .join('\n');
    // `toRowcallError` in errors.ts raises INTERNAL by default.
    const idle = codes
      .map(([code]) => code)
      .filter((code) => code !== 'INTERNAL' && !sources.includes(`'${code}'`));
    expect(idle, 'Remove these codes, or raise them').toEqual([]);
  });
});
