import { configDefaults, defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

/** Tests of rules, which touch nothing outside themselves. */
const RULES = ['test/{domain,coverage,secrets}/**/*.test.ts'];
/** Tests of one room of the house at a time, on Postgres, git or HTTP, but without Temporal's workers. */
const ROOMS = ['test/{activities,bus,cache,checks,database,deployment,egress,git,gitlab,ingress,metrics}/**/*.test.ts'];
/** Tests of all of it together, in this process. */
const WHOLE = ['test/{cli,client,temporal,workflows}/**/*.test.ts'];
const timeouts = { testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    // One more than the cores: tests wait too, for servers to come up, for retries, for processes to end.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    projects: [
      // Each file of these in a process of its own, with what its workers leave behind.
      {
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...RULES, ...ROOMS, ...WHOLE],
          ...timeouts,
        },
      },
      // To load everything anew for each file would take as long as what they do.
      { test: { name: 'whole', include: WHOLE, isolate: false, ...timeouts } },
      { test: { name: 'rooms', include: ROOMS, isolate: false, ...timeouts } },
      { test: { name: 'rules', include: RULES, isolate: false, ...timeouts } },
    ],
  },
});
