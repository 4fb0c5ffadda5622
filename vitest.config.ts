import { configDefaults, defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

/** Tests of rules that touch nothing outside themselves: they need no process of their own, which costs more than they do. */
const PURE = ['test/{domain,coverage,secrets}/**/*.test.ts'];

export default defineConfig({
  test: {
    // Tests wait as much as they compute: for servers to come up, for retries, for processes to end.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...PURE],
          globalSetup: ['test/support/global-setup.ts'],
        },
      },
      { extends: true, test: { name: 'rules', include: PURE, isolate: false } },
    ],
  },
});
