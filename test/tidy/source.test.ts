import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesIn, placesOf, read } from './repository.ts';

const sources = filesIn('src', '.ts');

/** What a source file leads to: its imports, and workers or other files named by a URL beside it. */
function leadsTo(file: string): readonly string[] {
  const text = read(file);
  const imports = Array.from(
    text.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+)'/g),
    ([, path = '']) => path,
  );
  // The extension of a worker is that of the running file: `./x${extname(import.meta.url)}`, or written out.
  const workers = Array.from(
    text.matchAll(/new URL\(\s*[`'](\.[^`'$]+?)(?:\.[jt]s|\$\{[^}]*\})?[`'],\s*import\.meta\.url/g),
    ([, path = '']) => `${path}.ts`,
  );
  return [...imports, ...workers].map((path) => normalize(join(dirname(file), path)));
}

function reachedFrom(roots: readonly string[]): ReadonlySet<string> {
  const known = new Set(sources);
  const reached = new Set<string>();
  const waiting = roots.filter((root) => known.has(root));
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    waiting.push(...leadsTo(file).filter((next) => known.has(next)));
  }
  return reached;
}

describe('the sources', () => {
  it('are all reached from main.ts, rowcall.ts or receiver.ts', () => {
    const reached = reachedFrom(['src/main.ts', 'src/rowcall.ts', 'src/receiver/receiver.ts']);
    const unreached = sources.filter((file) => !reached.has(file));
    expect(unreached, 'Nothing that runs imports these: use or remove them').toEqual([]);
  });

  it('import only files that are there', () => {
    const known = new Set(sources);
    const dangling = sources.flatMap((file) =>
      leadsTo(file)
        .filter((next) => next.startsWith('src/') && !known.has(next))
        .map((next) => `${file} leads to ${next}`),
    );
    expect(dangling).toEqual([]);
  });

  it('each begin with a doc comment that says what the file is for', () => {
    const bare = sources.filter((file) => !/^(?:#![^\n]*\n)?\/\*\*\s/.test(read(file)));
    expect(bare, 'Say in a first /** comment what the file is for').toEqual([]);
  });

  it('take time, timers and randomness from the clock, by no other name either', () => {
    const free = sources.filter(
      (file) => file !== 'src/shared/clock.ts' && !file.startsWith('src/config/'),
    );
    const evasion =
      /\b(?:globalThis|global)\s*(?:\.|\[)|\bnew Date\(\s*\)|\bperformance\.now\b|\bprocess\.hrtime\b|\bqueueMicrotask\b|from 'node:(?:timers|perf_hooks)/;
    expect(placesOf(free, evasion), 'Take a Clock or Random by the constructor').toEqual([]);
  });

  it('switch off no rule of the linter without saying why', () => {
    const bare = placesOf(
      [...sources, ...filesIn('test', '.ts')],
      /eslint-disable(?:-next-line|-line)?(?![^\n]* -- \S)/,
    ).filter((place) => !place.startsWith('test/tidy/'));
    expect(bare, 'Add `-- reason` to the directive').toEqual([]);
  });

  it('lie in no drawer called utils, helpers, common or misc, and behind no barrel', () => {
    expect(
      sources.filter((file) =>
        /(?:^|\/)(?:utils?|helpers?|common|misc|index)(?:\/|\.ts$)/.test(file),
      ),
    ).toEqual([]);
  });
});
