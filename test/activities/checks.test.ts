import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createJobClones } from '../../activities/job-clones.ts';
import { setSecret } from '../../src/database/secrets.ts';
import { untrackRepository } from '../../src/database/tracked-repositories.ts';
import { createSealer } from '../../src/secrets/sealer.ts';
import { commandsWith, confinements } from '../checks/check-world.ts';
import { type ChecksWorld, startChecksWorld } from '../support/checks-world.ts';
import { eventually } from '../support/eventually.ts';
import type { ServedRepository } from '../support/merge-world.ts';

const isConfined = (await confinements()).includes('namespaces');
let world: ChecksWorld;
let served: ServedRepository;
let count = 0;
beforeAll(async () => {
  world = await startChecksWorld();
  const { token } = world;
  await world.install(`
  clean: { command: [cat, clean.sarif] }
  lint:
    command: 'sed "s#FILE#$(pwd)/src/a.js#" found.sarif'
    env: { LEVEL: plugin, OWN: plugin }
  crash: { command: 'kill -SEGV $$' }
  exit: { command: 'echo gone wrong >&2; exit 3' }
  hang: { command: 'trap "" TERM; sleep ${token} & setsid sleep ${token} & sleep ${token}', time_limit_seconds: 1 }
  fork: { command: 'while :; do sleep ${token} & done', processes: 24, time_limit_seconds: 60 }
  flood: { command: 'yes ${token}', output_limit_kb: 64 }
  slow: { command: 'sleep ${token}' }
  env: { command: 'env; exit 3', env: { LEVEL: plugin, OWN: plugin } }
  leak: { command: 'cat ~/.npmrc; exit 3' }
  whisper: { command: 'sed "s#SECRET#$(cat ~/.npmrc)#g" leak.sarif' }
  spy: { command: 'cat /proc/*/environ "${world.storage}/../plugins.yaml" "${world.storage}/.env"; ls "${world.storage}/repositories"; exit 3' }
`);
});
afterAll(() => world.stop());
beforeEach(async () => {
  served = await world.addRepository(`project-${++count}`);
});
afterEach(() => world.expectNothingLeft());

const sarifOf = (...results: unknown[]): string =>
  JSON.stringify({ version: '2.1.0', runs: [{ tool: { driver: { name: 'lint' } }, results }] });
const TREE = {
  'clean.sarif': sarifOf(),
  'src/a.js': 'let a;\n',
  'found.sarif': sarifOf(
    {
      ruleId: 'no-unused',
      level: 'error',
      message: { text: 'a is not used' },
      locations: [
        { physicalLocation: { artifactLocation: { uri: 'file://FILE' }, region: { startLine: 1, startColumn: 5 } } },
      ],
    },
    { message: { text: 'no licence' } },
  ),
  'leak.sarif': sarifOf({ ruleId: 'SECRET', message: { text: 'found SECRET here' } }),
};
const plugin = (...names: string[]): string => names.map((name) => `  - plugin: ${name}\n`).join('');
const FAILED = { state: 'failed', problems: null, omitted: null, isOver: true, found: [] };

describe('a check of a commit', () => {
  test('U4a: that finds nothing is a success, and GitLab is to be told', async () => {
    const commit = await world.begin(served, plugin('clean'), TREE);
    expect(await world.stateOf(commit.id)).toMatchObject({ state: 'pending', checks: [{ state: 'waiting' }] });
    expect(await world.run(commit.checks[0]!)).toEqual({
      summary: `clean at acme/${served.project.path.split('/')[1]}@${commit.sha.slice(0, 8)}: 0 problems`,
      state: 'completed',
      problems: 0,
    });
    expect(await world.stateOf(commit.id)).toEqual({
      state: 'success',
      checks: [
        {
          plugin: 'clean',
          state: 'completed',
          problems: 0,
          omitted: 0,
          reason: null,
          printed: null,
          isOver: true,
          found: [],
        },
      ],
    });
    expect(await world.statusesAskedFor(commit.id)).toBe(1);
  });

  test('U4a: that finds problems has them stored; what all come to is said when all are over', async () => {
    const commit = await world.begin(served, plugin('lint', 'clean'), TREE);
    expect(await world.run(commit.checks[0]!)).toMatchObject({ state: 'completed', problems: 2 });
    expect(await world.stateOf(commit.id)).toMatchObject({
      state: 'pending',
      checks: [
        {
          plugin: 'lint',
          state: 'completed',
          problems: 2,
          found: [
            ['src/a.js', 1, 5, 'no-unused', 'error', 'a is not used'],
            [null, null, null, null, 'warning', 'no licence'],
          ],
        },
        { plugin: 'clean', state: 'waiting', isOver: false },
      ],
    });
    expect(await world.statusesAskedFor(commit.id)).toBe(0);
    await world.run(commit.checks[1]!);
    expect(await world.stateOf(commit.id)).toMatchObject({ state: 'failure' });
    expect(await world.statusesAskedFor(commit.id)).toBe(1);
  });

  test('U4a: many at a time: whoever ends last sees all the others', async () => {
    const commit = await world.begin(served, plugin('lint', 'clean', 'exit', 'crash'), TREE);
    await Promise.all(commit.checks.map((id) => world.run(id)));
    expect(await world.stateOf(commit.id)).toMatchObject({ state: 'error' });
    expect(await world.statusesAskedFor(commit.id)).toBe(1);
  });

  test.each<[what: string, name: string, reason: string, printed: string | RegExp]>([
    ['exits by a signal', 'crash', 'was ended by SIGSEGV', ''],
    ['fails', 'exit', 'ended with exit code 3', 'gone wrong'],
    ['hangs, and does not hear the polite signal', 'hang', 'was not done within 1 s', ''],
    ['forks without end', 'fork', 'ran more than 24 processes at a time', /^/],
    ['prints without end', 'flood', 'printed more than 65536 bytes', /^[\d.\n]+$/],
  ])(
    'U4a, bad input: that %s ends in an error with the reason, and nothing is left running',
    async (_, name, reason, printed) => {
      const commit = await world.begin(served, plugin(name), TREE);
      expect(await world.run(commit.checks[0]!)).toMatchObject({ state: 'failed' });
      const { state, checks } = await world.stateOf(commit.id);
      // Where the kernel counts the processes of a check, a fork fails before we have counted.
      const reasons = name === 'fork' ? [reason, 'ended with exit code 2', 'was not done within 60 s'] : [reason];
      expect(reasons).toContain(checks[0]!['reason']);
      expect({ state, checks }).toEqual({
        state: 'error',
        checks: [
          { plugin: name, ...FAILED, reason: checks[0]!['reason'], printed: expect.stringMatching(printed) as string },
        ],
      });
      await world.expectNothingLeft();
    },
  );

  test('U4a: has the variables of the manifest before those of the plugin, and none of ours', async () => {
    process.env['FORGEFLOW_TEST_SECRET'] = 'our-environment';
    const checks = '  - plugin: env\n    env: { LEVEL: 1.10, MANIFEST: own }\n';
    const commit = await world.begin(served, checks, TREE);
    await world.run(commit.checks[0]!);
    delete process.env['FORGEFLOW_TEST_SECRET'];
    const printed = String((await world.stateOf(commit.id)).checks[0]!['printed']);
    expect(printed).toMatch(/^LEVEL=1\.10$/m);
    expect(printed).toMatch(/^OWN=plugin$/m);
    expect(printed).toMatch(/^MANIFEST=own$/m);
    expect(printed).not.toMatch(/our-environment|GITLAB|DATABASE_URL|SECRETS_KEY|VITEST/);
  });

  test.runIf(isConfined)(
    'U4a: sees neither the environment of the worker nor its settings, nor other clones',
    async () => {
      await writeFile(join(world.storage, '.env'), 'A=our-settings\n');
      process.env['FORGEFLOW_TEST_SECRET'] = 'our-environment';
      const commit = await world.begin(served, plugin('spy'), TREE);
      await world.run(commit.checks[0]!);
      delete process.env['FORGEFLOW_TEST_SECRET'];
      await rm(join(world.storage, '.env'));
      const printed = String((await world.stateOf(commit.id)).checks[0]!['printed']);
      expect(printed).not.toMatch(/our-environment|our-settings|\d\.git|time_limit_seconds/);
      expect(printed).toContain('cannot access');
    },
  );
});

describe('secrets of a check', () => {
  const mounted = (name: string) => `  - plugin: ${name}\n    secrets: [{ name: NPM_RC, path: ~/.npmrc }]\n`;
  const keep = (repositoryId: number | null, value: string, name = 'NPM_RC') =>
    setSecret(world.db, { repositoryId, name }, world.sealer.seal(value));
  /** All that the database has of checks. */
  const everything = async (): Promise<string> => {
    const { rows } = await sql`
      select (select json_agg(checks) from checks)::text as checks, (select json_agg(problems) from problems)::text as problems
    `.execute(world.db);
    return JSON.stringify(rows);
  };

  test("U4a: are files in its home, the repository's own before that of all, and are repeated nowhere", async () => {
    await keep(null, 'of-all-s3cret\n');
    const commit = await world.begin(served, mounted('leak') + mounted('whisper'), TREE);
    const seen = async () => {
      for (const id of commit.checks) await world.run(id);
      return world.stateOf(commit.id);
    };
    expect(await seen()).toMatchObject({
      state: 'error',
      checks: [
        { plugin: 'leak', reason: 'ended with exit code 3', printed: '***' },
        { plugin: 'whisper', found: [[null, null, null, '***', 'warning', 'found *** here']] },
      ],
    });
    expect(await everything()).not.toContain('s3cret');
    // It would conceal only what it was given.
    await keep(served.id, 'own');
    await world.run(commit.checks[0]!);
    expect((await world.stateOf(commit.id)).checks[0]).toMatchObject({ printed: 'own' });
  });

  test('U4a, bad input: one that is missing fails the check with its name, until it is set', async () => {
    const checks = '  - plugin: clean\n    secrets: [{ name: NO_SUCH, path: ~/.netrc }]\n';
    const commit = await world.begin(served, checks, TREE);
    expect(await world.run(commit.checks[0]!)).toMatchObject({ state: 'failed' });
    const reason = 'has no secret NO_SUCH; see "forgeflow secrets set"';
    expect(await world.stateOf(commit.id)).toMatchObject({ state: 'error', checks: [{ ...FAILED, reason }] });
    await keep(served.id, 'now there', 'NO_SUCH');
    expect(await world.run(commit.checks[0]!)).toMatchObject({ state: 'completed' });
    expect(await world.stateOf(commit.id)).toMatchObject({ state: 'success' });
  });

  test('U4a: that do not open are a fault of ours: the check has failed until another attempt', async () => {
    await keep(served.id, 'sealed s3cret');
    const commit = await world.begin(served, mounted('clean'), TREE);
    const other = createSealer(randomBytes(32).toString('base64'));
    await expect(world.run(commit.checks[0]!, { sealer: other })).rejects.toThrow(
      'does not open with this SECRETS_KEY',
    );
    const { state, checks } = await world.stateOf(commit.id);
    expect(state).toBe('error');
    expect(checks[0]!['reason']).toMatch(/^could not be run: .*does not open with this SECRETS_KEY/);
    await world.run(commit.checks[0]!);
    expect(await world.stateOf(commit.id)).toMatchObject({ state: 'success', checks: [{ reason: null }] });
  });
});

describe('the plugins of the installation', () => {
  const reasonWith = async (settings: Record<string, string>, name = 'clean') => {
    const commit = await world.begin(served, plugin(name), TREE);
    await world.run(commit.checks[0]!, { runner: world.runner(settings) });
    const { state, checks } = await world.stateOf(commit.id);
    return [state, checks[0]!['reason']];
  };

  test('U4a, bad input: a check says what is wrong with them, in one sentence', async () => {
    const file = join(world.storage, 'wrong.yaml');
    await writeFile(file, 'version: 1\nplugins:\n  clean: { comand: x }\n');
    expect(await reasonWith({ CHECK_PLUGINS: file })).toEqual([
      'error',
      'cannot be run: CHECK_PLUGINS: wrong.yaml, line 3, column 3: plugins.clean.command: it is missing',
    ]);
    expect(await reasonWith({ CHECK_PLUGINS: `${file}.not` })).toEqual([
      'error',
      'cannot be run: CHECK_PLUGINS: there is no such file on the worker',
    ]);
    expect(await reasonWith({})).toEqual(['error', 'cannot be run: CHECK_PLUGINS is not set on the worker']);
    await writeFile(file, 'version: 1\nplugins: {}\n');
    expect(await reasonWith({ CHECK_PLUGINS: file })).toEqual(['error', 'is no plugin of this installation']);
  });
});

describe('a check that is broken off', () => {
  const isRunning = () =>
    eventually(async () => {
      expect(await commandsWith(`sleep\0${world.token}`)).toHaveLength(1);
    });
  const superseded = expect.stringMatching(/^superseded/) as string;

  test('U4a: a newer run of the commit ends the older, of which nothing is written', async () => {
    const older = await world.begin(served, plugin('slow'), TREE);
    const running = world.run(older.checks[0]!);
    await isRunning();
    const newer = await world.beginAgain(older);
    expect(await running).toEqual({ summary: superseded, isSuperseded: true });
    expect(await world.stateOf(older.id)).toMatchObject({ state: 'pending', checks: [{ state: 'waiting' }] });
    expect(newer.checks).not.toEqual(older.checks);
    expect(await world.run(older.checks[0]!)).toMatchObject({ isSuperseded: true });
  });

  test('U4a: so does the removal of its repository', async () => {
    const commit = await world.begin(served, plugin('slow'), TREE);
    const running = world.run(commit.checks[0]!);
    await isRunning();
    await untrackRepository(world.db, served.id);
    expect(await running).toEqual({ summary: superseded, isSuperseded: true });
    expect(await world.run(commit.checks[0]!)).toMatchObject({ isSuperseded: true });
  });

  test('U4a: a worker that stops, or a job that is cancelled, leaves it to wait for another', async () => {
    const commit = await world.begin(served, plugin('slow'), TREE);
    const stop = new AbortController();
    const running = world.run(commit.checks[0]!, { signal: stop.signal });
    await isRunning();
    expect(await world.stateOf(commit.id)).toMatchObject({ state: 'pending', checks: [{ state: 'running' }] });
    stop.abort(new Error('the worker stops'));
    await expect(running).rejects.toThrow('the worker stops');
    expect(await world.stateOf(commit.id)).toMatchObject({ state: 'pending', checks: [{ state: 'waiting' }] });
  });

  test('U4a: a GitLab that is away is a fault of ours: the check has failed until another attempt', async () => {
    const commit = await world.begin(served, plugin('clean'), TREE);
    const config = { ...world.config, gitlabUrl: 'http://127.0.0.1:9' };
    await expect(world.run(commit.checks[0]!, { clones: createJobClones(config, world.db) })).rejects.toThrow('git ');
    const { state, checks } = await world.stateOf(commit.id);
    expect([state, checks[0]!['reason']]).toEqual(['error', expect.stringMatching(/^could not be run: git [^\n]+$/)]);
    await world.run(commit.checks[0]!);
    expect(await world.stateOf(commit.id)).toMatchObject({ state: 'success' });
  });
});

describe('a check that is run more than once', () => {
  test.each(['clean', 'lint', 'exit'])('U4a: %s: twice in a row and at the same time: same end state', async (name) => {
    const commit = await world.begin(served, plugin(name), TREE);
    const [id = 0] = commit.checks;
    await Promise.all([world.run(id), world.run(id), sleep(100).then(() => world.run(id))]);
    const once = await world.stateOf(commit.id);
    expect(once.checks).toMatchObject([{ plugin: name, isOver: true }]);
    await world.run(id);
    expect(await world.stateOf(commit.id)).toEqual(once);
  });
});
