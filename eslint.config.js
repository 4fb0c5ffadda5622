import { importX } from 'eslint-plugin-import-x';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import tseslint from 'typescript-eslint';

// The floors of the house: a file imports from its own room or from a lower floor, never upward.
// Each row says what the room on the left may import, besides itself.
const domain = ['src/domain'];
const floor1 = ['src/config.ts', 'src/running-services.ts', 'src/version.ts', ...domain];
const sources = ['src', 'workflows', 'activities', 'scripts', 'test'];
const rooms = {
  'src/domain': [],
  'src/config.ts': [...domain, 'src/running-services.ts', 'src/settings.ts'],
  'src/settings.ts': domain,
  'src/running-services.ts': [],
  'src/version.ts': [],
  'src/deadline.ts': [],
  'src/free-port.ts': [],
  'src/database': domain,
  'src/egress': [...domain, 'src/version.ts'],
  'src/git': domain,
  'src/gitlab': [...domain, 'src/version.ts'],
  'src/secrets': domain,
  'src/checks': domain,
  'src/cache': domain,
  'src/coverage': domain,
  activities: [
    ...floor1,
    'src/cache',
    'src/checks',
    'src/coverage',
    'src/database',
    'src/egress',
    'src/git',
    'src/gitlab',
    'src/secrets',
  ],
  workflows: domain, // and the *types* of activities, see below
  'src/logging.ts': [],
  'src/temporal': [...floor1, 'src/logging.ts', 'activities', 'workflows'],
  'src/bus': [...floor1, 'src/database', 'src/egress', 'src/logging.ts', 'src/temporal'],
  'src/client': [
    ...floor1,
    'activities',
    'src/bus/outbox.ts',
    'src/bus/publisher.ts',
    'src/coverage',
    'src/database',
    'src/egress',
    'src/secrets',
    'src/temporal',
    'workflows',
  ],
  'src/index.ts': [...floor1, 'src/bus/outbox.ts', 'src/bus/publisher.ts', 'src/client'],
  'src/metrics': [...domain, 'src/database', 'src/deadline.ts'],
  'src/ingress': [
    ...floor1,
    'src/bus/outbox.ts',
    'src/bus/publisher.ts',
    'src/cache',
    'src/coverage',
    'src/database',
    'src/deadline.ts',
    'src/logging.ts',
    'src/metrics',
  ],
  'src/dev': [
    ...floor1,
    'src/database',
    'src/free-port.ts',
    'src/ingress',
    'src/logging.ts',
    'src/temporal',
    'src/worker.ts',
  ],
  'src/awaited-services.ts': [...floor1, 'src/database', 'src/logging.ts', 'src/secrets', 'src/temporal'],
  'src/worker.ts': [
    ...floor1,
    'src/awaited-services.ts',
    'src/bus',
    'src/cache',
    'src/database',
    'src/egress',
    'src/free-port.ts',
    'src/gitlab',
    'src/secrets',
    'src/logging.ts',
    'src/metrics',
    'src/temporal',
    'activities',
  ],
};

const noTemporal = { group: ['@temporalio/*'], message: 'Floors 0 and 1 know nothing of Temporal.' };
const noPostgres = {
  group: ['pg', 'kysely'],
  allowTypeImports: true,
  message: 'Only src/database speaks to Postgres.',
};
const onlyTypesOfActivities = {
  group: ['**/activities/**'],
  allowTypeImports: true,
  message: 'Workflows import only the types of activities.',
};
const temporalLater = {
  group: ['@temporalio/*', '**/temporal/*', '!**/temporal/connection.ts', '!**/temporal/task-queues.ts'],
  allowTypeImports: true,
  message: "Temporal's SDK is slow to load and most commands need none of it: await import() where it is used.",
};
const restricted = (files, patterns, ignores = []) => ({
  files,
  ignores,
  rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns }] },
});

export default tseslint.config(
  { ignores: ['dist', 'node_modules', '.forgeflow'] },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver-next': [createTypeScriptImportResolver()] },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      'import-x/no-duplicates': 'error',
      'import-x/no-restricted-paths': [
        'error',
        {
          zones: [
            ...Object.entries(rooms).map(([target, allowed]) => ({
              target: `./${target}`,
              from: './',
              except: [
                target,
                ...allowed,
                ...(target === 'workflows' ? ['activities'] : []),
                'node_modules',
                'package.json',
              ],
              message: `${target} imports only downward: ${allowed.join(', ') || 'nothing'}`,
            })),
            // But scripts/record-histories.ts, which is part of the tests.
            ...['src', 'workflows', 'activities', 'bin', 'scripts/chaos'].map((room) => ({
              target: `./${room}`,
              from: './test',
              message: 'Nothing imports test/.',
            })),
            ...['scripts/bench', 'scripts/demo', 'scripts/demo.ts'].map((room) => ({
              target: `./${room}`,
              from: './test',
              except: ['./support/gitlab'],
              message: 'Of test/, only the stand-in for GitLab.',
            })),
          ],
        },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/only-throw-error': 'error',
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  // One rule name holds one list per file, so each of these blocks names files that no other one does.
  restricted(
    ['src/{domain,egress,git,gitlab,secrets,checks,cache,coverage}/**', 'src/config.ts'],
    [noTemporal, noPostgres],
  ),
  restricted(['src/database/**'], [noTemporal]),
  restricted(['workflows/**'], [onlyTypesOfActivities, noPostgres]),
  restricted(['activities/**', 'src/{temporal,ingress,metrics}/**', 'src/*.ts'], [noPostgres], ['src/config.ts']),
  restricted(['src/{client,cli}/**'], [noPostgres, temporalLater]),
  {
    files: sources.map((room) => `${room}/**`),
    ignores: ['src/config.ts', 'src/dev/**', 'scripts/**', 'test/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'src/config.ts is the only reader of the environment.' },
      ],
    },
  },
  { files: ['eslint.config.js', 'bin/**', 'scripts/*.mjs'], extends: [tseslint.configs.disableTypeChecked] },
  {
    files: ['scripts/**', 'test/**'],
    rules: { 'no-console': 'off', '@typescript-eslint/no-non-null-assertion': 'off' },
  },
);
