import { describe, expect, test } from 'vitest';
import { parseDeb822, parseOneLine } from '../../../services/apt-packages.ts';

describe("the machine's own package mirror", () => {
  test('is read from deb822 paragraphs, past comments and disabled ones', () => {
    const text = [
      '# a comment',
      'Types: deb deb-src',
      'URIs: http://mirror.test/debian http://other.test/debian',
      'Suites: bookworm bookworm-updates',
      'Components: main',
      'Signed-By: /usr/share/keyrings/archive.gpg',
      '',
      'Types: deb',
      'Enabled: no',
      'URIs: http://off.test/debian',
      'Suites: bookworm',
      '',
      'Types: deb-src',
      'URIs: http://sources.test/debian',
      'Suites: bookworm',
    ].join('\n');
    expect(parseDeb822(text)).toEqual([
      {
        uri: 'http://mirror.test/debian',
        suites: ['bookworm', 'bookworm-updates'],
        signedBy: '/usr/share/keyrings/archive.gpg',
      },
    ]);
  });

  test('is trusted by the standard keys where the paragraph holds the key itself', () => {
    const text =
      'Types: deb\nURIs: http://mirror.test\nSuites: sid\nSigned-By:\n -----BEGIN PGP-----\n';
    expect(parseDeb822(text)).toEqual([
      { uri: 'http://mirror.test', suites: ['sid'], signedBy: undefined },
    ]);
  });

  test('is read from one-line entries, with and without options', () => {
    const text = [
      '#deb http://off.test/debian bookworm main',
      'deb [arch=amd64 signed-by=/etc/apt/keyrings/a.gpg] http://one.test/debian bookworm main',
      'deb-src http://src.test/debian bookworm main',
      'deb http://two.test/ubuntu noble main universe',
    ].join('\n');
    expect(parseOneLine(text)).toEqual([
      { uri: 'http://one.test/debian', suites: ['bookworm'], signedBy: '/etc/apt/keyrings/a.gpg' },
      { uri: 'http://two.test/ubuntu', suites: ['noble'], signedBy: undefined },
    ]);
  });
});
