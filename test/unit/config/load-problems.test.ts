import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { MINIMAL, configFile, load, problems } from './config-file.ts';

/** MINIMAL with further lines; they begin at line 4. */
const withLines = (lines: string): string => `${MINIMAL}${lines}\n`;

describe('what is wrong with a configuration', () => {
  it('is told all at once, in the order of the file, with line, column and cure', async () => {
    const text = `name: Shop
surce: {}
source: { url: 'mysql://127.0.0.1', heartbeat: 5 }
tables:
  - match: shop.*
    key: id
callbacks:
  - name: a
    whne: x
    tables: [shop.orders]
    concurrency: 0
`;
    expect(await problems(text)).toEqual([
      'rowcall.yaml:1:7 name: must be 1 to 63 of the characters a-z, 0-9 and -, with no - at either end',
      'rowcall.yaml:2:1 surce: unknown key; did you mean "source"?',
      'rowcall.yaml:3:16 source.url: names no user; write mysql://user:password@host:3306',
      expect.stringMatching(/^rowcall\.yaml:3:48 source\.heartbeat: must be a duration/),
      'rowcall.yaml:6:10 tables[0].key: must be a list of columns, or a mapping of names to columns; write for example [id]',
      expect.stringMatching(/^rowcall\.yaml:8:5 callbacks\[0\]\.deliver: says nowhere to deliver/),
      'rowcall.yaml:9:5 callbacks[0].whne: unknown key; did you mean "when"?',
      'rowcall.yaml:11:18 callbacks[0].concurrency: must be at least 1',
    ]);
  });

  it('places a missing key at the section it is missing from', async () => {
    expect(await problems('tables:\n  - topic: x\n')).toEqual([
      'rowcall.yaml:1:1 name: is required; write name: shop',
      'rowcall.yaml:1:1 source: is required; write { url: "mysql://…" }',
      'rowcall.yaml:2:5 tables[0].match: is required; write [shop.*]',
    ]);
  });

  it.each([
    ['when: aftr.a == 1', '8:11', 'unknown variable: aftr; did you mean after?'],
    ['when: after.a / 2 == 1', '8:11', 'write int(after.x) / 2'],
    ["when: 'after.a == 1 && aftr.b == 2'", '8:28', 'did you mean after?'],
    ['when: |\n      after.a == 1 &&\n        aftr.b == 2', '10:9', 'did you mean after?'],
    ['when: >\n      after.a == 1 &&\n      aftr.b == 2', '8:11', 'at character 17'],
    ['when: 1', '8:11', 'must be an expression in quotes'],
    ['payload: \'{"a": aftr.b}\'', '8:21', 'did you mean after?'],
    ["payload: 'after.a > 1'", '8:15', 'gives bool; write a map'],
    ['metadata: {team: [a]}', '8:22', 'must be text, a number'],
    [`metadata: {a: ${'x'.repeat(3000)}}`, '8:15', 'is over 2048 bytes'],
    ['payload: 1', '8:14', 'must be an expression in quotes, or {columns: […]}'],
  ])('reads %s at %s: %s', async (lines, place, message) => {
    const callback = `callbacks:\n  - name: a\n    tables: shop.a\n    deliver: { module: ./a.js }\n    ${lines}`;
    const found = await problems(withLines(callback).replace(/\n+callbacks/, '\ncallbacks'));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(message);
    expect(found[0]).toContain(`rowcall.yaml:${place} `);
  });

  it.each([
    ['path', 'checkpoint: { path: ./place.json }'],
    ['mysql', 'state: { type: mysql }'],
  ])('knows %s as an option of another version', async (name, lines) => {
    const [problem, ...others] = await problems(withLines(lines));
    expect(others).toEqual([]);
    expect(problem).toContain('not in this version');
    expect(problem).toContain(name);
  });

  it.each([
    [
      'an option of the other type',
      'log: { brokers: [a:1] }',
      '4:8 log.brokers: belongs to type: kafka; write that type, or remove the key',
    ],
    [
      'an option of the type that is not chosen',
      'log: { type: kafka, brokers: ["a:1"], max_size: 1GiB }',
      '4:39 log.max_size: belongs to type: embedded; write that type, or remove the key',
    ],
    [
      'a type that is nearly one',
      'log: { type: kafak }',
      '4:14 log.type: must be one of embedded, kafka; did you mean "kafka"?',
    ],
    [
      'an option nearly of its type',
      'log: { type: kafka, broker: ["a:1"], brokers: ["a:1"] }',
      '4:21 log.broker: unknown key; did you mean "brokers"?',
    ],
    ['no brokers', 'log: { type: kafka }', '4:1 log.brokers: is required; write [127.0.0.1:9092]'],
    [
      'a broker without port',
      'log: { type: kafka, brokers: [a] }',
      '4:31 log.brokers[0]: must be host:port, such as 127.0.0.1:9092 or [::1]:9092',
    ],
    [
      'a compacted topic',
      'log: { type: kafka, brokers: ["a:1"], topics: { config: { cleanup.policy: "compact,delete" } } }',
      '4:75 log.topics.config.cleanup.policy: must be delete: a compacted topic forgets all but the last event of a key, and a callback that is behind would never see the others',
    ],
  ])('tells %s of a log', async (_, lines, expected) => {
    expect(await problems(withLines(lines))).toEqual([`rowcall.yaml:${expected}`]);
  });

  it('names the known keys where none is near', async () => {
    expect(await problems(withLines('checkpoint: { wherever: 1 }'))).toEqual([
      'rowcall.yaml:4:15 checkpoint.wherever: unknown key; known here: type',
    ]);
  });

  it('never repeats a secret', async () => {
    const secret = 'hunter2hunter2';
    const text = `name: shop
source: { url: 'mysql://rowcall:${secret}/@@db:x', password: [${secret}] }
tables: [{ match: shop.* }]
log: { type: kafka, brokers: ['${secret}@b:1'], sasl: { mechanism: ${secret}, username: u, password: [${secret}] } }
callbacks:
  - name: a
    tables: shop.*
    deliver: { url: 'https://u:${secret}@h', secrets: [${secret}, 'whsec_${secret}'], headers: { a: "${secret}\\n" } }
`;
    const found = await problems(text);
    expect(found.length).toBeGreaterThanOrEqual(9);
    expect(found.join('\n')).not.toContain(secret);
  });
});

describe('YAML', () => {
  it.each([
    ['a key that stands twice', `${MINIMAL}name: again\n`, '4:1 this key stands twice'],
    ['an alias of nothing', withLines('log_level: *nope'), '4:12 log_level: *nope names no &nope'],
    ['a tab as indentation', 'source:\n\turl: x\n', '2:1 a tab indents'],
    ['an unclosed quote', 'name: "shop\n', 'not YAML'],
    ['a second document', `${MINIMAL}---\nname: x\n`, 'a second document'],
    ['an unknown tag', withLines('log_level: !level info'), '4:12 this !tag'],
    ['a key that is no text', withLines('log: { 1: x }'), '4:8 log: has a key that is not text'],
    [
      'a key that could reach a prototype',
      withLines('__proto__: {}'),
      '4:1 __proto__: unknown key',
    ],
    ['an empty section', withLines('log:'), '4:5 log: is empty'],
    ['a list for the whole', '- 1\n', '1:1 must be a mapping'],
    ['an empty file', '', '1:1 is empty'],
    [
      'an integer that a number cannot hold',
      withLines('callbacks: [{ name: a, tables: shop.a, concurrency: 9007199254740993 }]'),
      'callbacks[0].concurrency: is a whole number over 2^53 - 1',
    ],
    [
      'nesting without end',
      withLines(`log: ${'['.repeat(70)}${']'.repeat(70)}`),
      'larger or deeper than a configuration',
    ],
    [
      'aliases that multiply',
      withLines(
        Array.from({ length: 8 }, (_, i) =>
          i === 0
            ? 'a0: &a0 [1,1,1,1,1,1,1,1,1,1]'
            : `a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(',')}]`,
        ).join('\n'),
      ),
      'larger or deeper than a configuration',
    ],
  ])('with %s is refused', async (_, text, expected) => {
    expect((await problems(text)).join('\n')).toContain(expected);
  });

  it('reports every syntax error and nothing that only follows from one', async () => {
    const found = await problems('name: [shop\nsource: {url: x\n');
    expect(found.length).toBeGreaterThan(0);
    expect(found.every((line) => line.includes('not YAML'))).toBe(true);
  });

  it('may use anchors and aliases', async () => {
    const { callbacks } = await load(
      withLines(`callbacks:
  - { name: a, tables: &t [shop.a], deliver: { module: ./a.js } }
  - { name: b, tables: *t, deliver: { module: ./a.js } }`),
    );
    expect(callbacks.map(({ tables }) => tables)).toEqual([['shop.a'], ['shop.a']]);
  });
});

describe('a file that cannot be read', () => {
  it('is told with its path', async () => {
    await expect(loadConfig('/nonexistent/rowcall.yaml', {})).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      exitCode: 2,
      message: 'Cannot read /nonexistent/rowcall.yaml: ENOENT',
    });
  });

  it('may not be text of another encoding', async () => {
    const file = configFile('');
    const { writeFileSync } = await import('node:fs');
    writeFileSync(file, Buffer.from('name: caf\xe9', 'latin1'));
    await expect(loadConfig(file, {})).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('values from outside', () => {
  it('stand for numbers and booleans where they are the whole value', async () => {
    const { callbacks } = await load(
      withLines(`callbacks:
  - name: a
    tables: shop.a
    concurrency: \${KEYS}
    retry: { jitter: '\${JITTER}', initial_interval: '\${WAIT:-2s}' }
    deliver: { url: 'http://a', secrets: ['\${S}'], allow_private_network: '\${PRIVATE}' }`),
      { KEYS: '7', JITTER: '0.5', PRIVATE: 'true', S: `whsec_${'A'.repeat(32)}` },
    );
    expect(callbacks[0]).toMatchObject({
      concurrency: 7,
      retry: { jitter: 0.5, initialIntervalMs: 2000 },
      deliver: { allowPrivateNetwork: true },
    });
  });

  it('are not guessed at where they are part of a value or no number', async () => {
    const lines = (value: string): string =>
      withLines(
        `callbacks: [{ name: a, tables: shop.a, deliver: { module: a.js }, concurrency: ${value} }]`,
      );
    for (const value of ['"1${N}"', '"7"', '"${WORD}"', '"${HEX}"', '"${EMPTY}"']) {
      expect(await problems(lines(value), { N: '1', WORD: 'x', HEX: '0x10', EMPTY: '' })).toEqual([
        expect.stringContaining('callbacks[0].concurrency: must be a whole number'),
      ]);
    }
  });

  it('stay text where text is wanted, and can bring no YAML in', async () => {
    const { source } = await load(
      `name: shop\nsource: { host: h, user: u, password: '\${PW}' }\ntables: [{ match: shop.* }]\n`,
      { PW: '12345\nname: other # x' },
    );
    expect(source.servers[0]?.password?.reveal()).toBe('12345\nname: other # x');
  });

  it('are not put into keys', async () => {
    expect(await problems(withLines("'${KEY}': 1"), { KEY: 'log' })).toEqual([
      expect.stringContaining('${KEY}: unknown key'),
    ]);
  });

  it('that are missing are told once, and nothing else about them', async () => {
    expect(await problems(withLines('log_level: ${LEVEL}'))).toEqual([
      'rowcall.yaml:4:12 log_level: needs the environment variable LEVEL, which is not set; set it, or write ${LEVEL:-default}',
    ]);
  });

  it('that are missing secrets are not to get a default that stands in the file', async () => {
    const text =
      "name: shop\nsource: { host: h, user: u, password: '${PW}' }\n" +
      "tables: [{ match: shop.*, columns: { hash: { columns: [a], key: '${HASH_KEY}' } } }]\n";
    const told = await problems(text);
    expect(told.join()).toMatch(
      /variable PW, .* set it, or write \$\{file:path\}.*variable HASH_KEY, /,
    );
    expect(told.join()).not.toContain(':-');
  });
});
