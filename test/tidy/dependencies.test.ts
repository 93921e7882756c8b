import { describe, expect, it } from 'vitest';
import { filesIn, namedRows, read } from './repository.ts';

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(read('package.json')) as Manifest;
const atRunTime = Object.keys(manifest.dependencies);
const all = [...atRunTime, ...Object.keys(manifest.devDependencies)];

/** The packages that files import, Node's own left out. */
function imported(folder: string): ReadonlySet<string> {
  const packages = new Set<string>();
  for (const file of filesIn(folder, '.ts')) {
    for (const [, name = ''] of read(file).matchAll(/\bfrom '([^'.][^']*)'|\bimport '[^'.]/g)) {
      if (name === '' || name.startsWith('node:')) continue;
      packages.add(
        name
          .split('/')
          .slice(0, name.startsWith('@') ? 2 : 1)
          .join('/'),
      );
    }
  }
  return packages;
}

describe('dependencies', () => {
  it('each have a line of reason in docs/DEPENDENCIES.md, and nothing else does', () => {
    expect(
      [...namedRows(read('docs/DEPENDENCIES.md')).keys()].sort(),
      'Give each package a row in docs/DEPENDENCIES.md: what it does for us, what was rejected',
    ).toEqual([...all].sort());
  });

  it('are exact versions', () => {
    const loose = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
      ([, version]) => !/^(?:npm:(?:@[\w-]+\/)?[\w-]+@)?\d+\.\d+\.\d+$/.test(version),
    );
    expect(loose).toEqual([]);
  });

  it('of src are those of the published package', () => {
    const missing = [...imported('src')].filter((name) => !atRunTime.includes(name));
    expect(missing, 'Move these to dependencies of package.json').toEqual([]);
  });

  it('at run time are imported by src', () => {
    // Pino loads it by name, for a person's terminal.
    const byName = ['pino-pretty'];
    const used = imported('src');
    const idle = atRunTime.filter((name) => !used.has(name) && !byName.includes(name));
    expect(idle, 'Remove these from dependencies, or to devDependencies').toEqual([]);
  });
});
