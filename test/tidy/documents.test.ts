import { describe, expect, it } from 'vitest';
import { exists, filesIn, namedRows, placesOf, read, repositoryFiles } from './repository.ts';

/** The folders right below src, which are the map of the house. */
const folders = [
  ...new Set(
    filesIn('src', '.ts')
      .map((file) => /^src\/([^/]+)\//.exec(file)?.[1])
      .filter((folder) => folder !== undefined),
  ),
];
const documents = repositoryFiles().filter((file) => file.endsWith('.md'));
/** What a person wrote: locks and generated files are left out. */
const written = repositoryFiles().filter(
  (file) => !/^package-lock\.json$|\.(?:png|svg|ico|db|bin|gz)$/.test(file),
);
const others = written.filter((file) => !file.startsWith('test/tidy/'));

describe('the documents', () => {
  it.each(['README.md', 'docs/ARCHITECTURE.md'].filter(exists))(
    '%s names every folder of src',
    (document) => {
      const text = read(document);
      const missing = folders.filter(
        (folder) => !new RegExp(`\\b${folder}/|\`${folder}\``).test(text),
      );
      expect(missing, `Name these folders of src in ${document}`).toEqual([]);
    },
  );

  it('point at names in the code, not at lines, which move', () => {
    expect(placesOf(documents, /\.(?:ts|js):\d+/), 'Name the symbol instead').toEqual([]);
  });

  it('link only to files that are there', () => {
    const broken = documents.flatMap((document) =>
      Array.from(read(document).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)/g))
        .map(([, target = '']) => target)
        .filter((target) => {
          const folder = document.includes('/') ? document.replace(/[^/]*$/, '') : '';
          return !exists(target.startsWith('/') ? target.slice(1) : `${folder}${target}`);
        })
        .map((target) => `${document} links to ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it('list every metric, and no other', () => {
    const names = new Set(
      filesIn('src/operate/observe', '.ts').flatMap((file) =>
        Array.from(read(file).matchAll(/\b(rowcall_[a-z0-9_]+)\b/g), ([, name = '']) => name),
      ),
    );
    // Metrics and their page come together: one without the other is what this finds.
    const documented = exists('docs/METRICS.md')
      ? [...namedRows(read('docs/METRICS.md')).keys()]
      : [];
    expect(documented.sort(), 'Give each metric a row in docs/METRICS.md').toEqual(
      [...names].sort(),
    );
  });
});

describe('the repository', () => {
  it('leaves nothing to be done later in a comment', () => {
    expect(
      placesOf(others, new RegExp(`\\b(?:${['FIX', 'TO'].join('ME|')}DO|XXX|HACK)\\b`)),
    ).toEqual([]);
  });

  it('names no folder of the machine it was written on', () => {
    const machine = /(?<![\w.$}/-])\/(?:home|Users|root|work|mnt|workspace)\/[\w.-]+/;
    expect(placesOf(others, machine)).toEqual([]);
  });

  it('names no host of a package registry', () => {
    const hosts = new RegExp(
      [
        'registry\\.[a-z0-9-]+\\.(?:org|com|io|dev|net)',
        'npmjs',
        'yarnpkg',
        'repo1?\\.maven',
        'pypi\\.',
        'crates\\.io',
        'proxy\\.golang',
      ].join('|'),
      'i',
    );
    expect(placesOf([...others, 'package-lock.json'].filter(exists), hosts)).toEqual([]);
  });

  it('holds no secret', () => {
    const secret =
      /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|whsec_[A-Za-z0-9+/]{32,}/;
    expect(placesOf(others, secret)).toEqual([]);
  });
});
