import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const TAKE = 'Take it from the constructor (Clock, Random, HttpPort), so a test can hold it.';

/** What no file of src imports, whatever its folder. */
const everywhere = {
  paths: ['node:timers', 'node:timers/promises'].map((name) => ({ name, message: TAKE })),
  patterns: [
    {
      group: ['**/index.ts', '**/mod.ts'],
      message: 'Import the file that defines it, not a barrel.',
    },
    { group: ['**/*.test.ts', '**/test/**'], message: 'Do not import from tests.' },
  ],
};

/** One fence per folder: in flat config a later no-restricted-imports replaces an earlier one. */
const fence = (files, forbidden, why, ignores = []) => ({
  files,
  ignores,
  rules: {
    'no-restricted-imports': [
      'error',
      {
        paths: everywhere.paths,
        patterns: [{ group: forbidden, message: why }, ...everywhere.patterns],
      },
    ],
  },
});

const ADAPTERS = [
  '**/log/embedded/**',
  '**/log/kafka/**',
  '**/state/sqlite/**',
  '**/state/mysql/**',
];

export default defineConfig(
  globalIgnores(['dist/', 'dist-test/', 'coverage/', 'node_modules/']),
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: { project: ['./test/tsconfig.json'], tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      curly: ['error', 'multi-line'],
      eqeqeq: 'error',
      'no-console': 'error',
      'no-param-reassign': 'error',
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      complexity: ['error', 12],
      'max-params': ['error', 4],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/prefer-readonly': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: false },
      ],
      '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: false }],
      '@typescript-eslint/strict-boolean-expressions': 'error',
      // A number in a template literal prints as itself; String(n) everywhere hides the sentence.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' },
        {
          selector: "CallExpression[callee.object.name='Promise'][callee.property.name='race']",
          message: 'Use shared/abort.ts; racing a long-lived promise leaks.',
        },
      ],
    },
  },
  {
    files: ['src/**'],
    ignores: ['src/main.ts', 'src/shared/clock.ts', 'src/config/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['setTimeout', 'setInterval', 'setImmediate', 'fetch'].map((name) => ({
          name,
          message: TAKE,
        })),
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: TAKE },
        { object: 'Math', property: 'random', message: TAKE },
        { object: 'process', property: 'env', message: 'Only config/ reads the environment.' },
        { object: 'process', property: 'exit', message: 'Only main.ts ends the process.' },
      ],
    },
  },
  fence(
    ['src/capture/**'],
    ['**/deliver/**', '**/operate/**', '**/config/**', '**/state/**', ...ADAPTERS],
    'capture/ knows the log port and the contract, not the delivery leg, the state or the program around it.',
  ),
  fence(
    ['src/deliver/**'],
    ['**/capture/**', '**/operate/**', '**/config/**', ...ADAPTERS],
    'deliver/ knows only what is in the log and the state port.',
  ),
  fence(
    ['src/log/**', 'src/state/**'],
    ['**/capture/**', '**/deliver/**', '**/operate/**', '**/config/**'],
    'A port and its adapters know neither leg.',
  ),
  fence(
    ['src/config/**'],
    ['**/capture/**', '**/deliver/**', '**/operate/**', '**/log/**', '**/state/**'],
    'config/ describes; it does not build.',
  ),
  fence(
    ['src/receiver/**'],
    [
      '**/capture/**',
      '**/deliver/**',
      '**/operate/**',
      '**/config/**',
      '**/log/**',
      '**/state/**',
      '**/errors.ts',
      '**/error-table.ts',
    ],
    'receiver/ runs in somebody else’s process: it takes nothing of ours along.',
  ),
  fence(
    ['src/shared/**'],
    ['**/capture/**', '**/deliver/**', '**/operate/**', '**/config/**', '**/log/**', '**/state/**'],
    'shared/ is a leaf.',
    ['src/shared/clock.ts'],
  ),
  fence(
    ['src/*.ts', 'src/operate/**'],
    ADAPTERS,
    'Only stores.ts and kafka-stores.ts know the adapters; everything else takes the ports.',
    ['src/stores.ts', 'src/kafka-stores.ts'],
  ),
  {
    files: ['test/**', 'demo/**', 'bench/**', 'services/**', 'scripts/**'],
    rules: { 'max-lines-per-function': 'off' },
  },
  // These talk to a person at a terminal.
  {
    files: ['demo/**', 'bench/**', 'scripts/**', 'examples/**'],
    rules: { 'no-console': 'off' },
  },
  // Its reader takes the default export and nothing else.
  { files: ['vitest.config.ts'], rules: { 'no-restricted-syntax': 'off' } },
  {
    files: ['*.js'],
    extends: [tseslint.configs.disableTypeChecked],
    rules: { 'no-restricted-syntax': 'off' },
  },
);
