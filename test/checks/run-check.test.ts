import { readFileSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CheckOutcome } from '../../src/checks/outcome.ts';
import { type CheckWorld, checkWorld, confinements, SARIF, testIn } from './check-world.ts';

const SARIF_FILE = `cat >"$FORGEFLOW_RESULT" <<'END'\n${SARIF}\nEND\n`;

/** Not in /tmp, which a check does not see anyway. */
const OUR_FILE = resolve('package.json');

const WRONG: [command: string, failure: string, reason: string][] = [
  ['exit 3', 'exit_code', 'ended with exit code 3'],
  ['exit 1', 'exit_code', 'ended with exit code 1'],
  ['no-such-program-at-all', 'exit_code', 'ended with exit code 127: its program was not found'],
  ['./a.js', 'exit_code', 'ended with exit code 126: its program cannot be executed'],
  [':', 'malformed_result', 'reported nothing'],
  ['echo all well', 'malformed_result', 'reported something that is not JSON'],
  ['mkfifo "$FORGEFLOW_RESULT"', 'malformed_result', 'put something else in the place of its result file'],
  ['ln -s /etc/passwd "$FORGEFLOW_RESULT"', 'malformed_result', 'put something else in the place of its result file'],
  ['kill -SEGV $$', 'signal', 'was ended by SIGSEGV'],
  ['kill -KILL $$', 'signal', 'was ended by SIGKILL'],
  ['echo "{}"; exit 1', 'malformed_result', 'reported something that is not SARIF 2.1.0: version: it is not 2.1.0'],
];

/** What the check printed: it fails, so that this is told. */
function printed(outcome: CheckOutcome): string {
  expect(outcome).toMatchObject({ kind: 'failed', failure: 'exit_code', reason: 'ended with exit code 3' });
  return outcome.kind === 'failed' ? outcome.printed : '';
}

describe.concurrent.each(await confinements())('U4a: a check (confinement: %s)', (confinement) => {
  const inWorld = testIn(confinement);

  inWorld(
    'reports problems in a file or by printing them, as a shell line or as a program with arguments',
    async ({ world, expect }) => {
      const problem = { path: null, line: null, column: null, ruleId: 'r', level: 'warning', message: 'wrong' };
      const completed = { kind: 'completed', problems: [problem], omitted: 0 };
      expect(await world.run(SARIF_FILE)).toEqual(completed);
      expect(await world.run(`${SARIF_FILE}exit 1`)).toEqual(completed);
      expect(await world.run(`${SARIF_FILE}echo 'also something else'`)).toEqual(completed);
      expect(await world.run(['printf', '%s', SARIF])).toEqual(completed);
    },
  );

  inWorld('has its checkout, and paths that lie in it', async ({ world, expect }) => {
    const report = `file=$(pwd)/src/b.js
      printf '%s' '{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"results":[{"message":{"text":"m"},
      "locations":[{"physicalLocation":{"artifactLocation":{"uri":"file://'"$file"'"}}}]}]}]}'
      grep -q x src/b.js && echo changed >src/b.js`;
    const outcome = await world.run(report, {
      checkOut: async (folder) => {
        expect(await readdir(folder)).toEqual([]);
        await mkdir(join(folder, 'src'));
        await writeFile(join(folder, 'src/b.js'), 'x');
      },
    });
    expect(outcome).toMatchObject({ problems: [{ path: 'src/b.js' }] });
  });

  inWorld('has nothing of our environment', async ({ world, expect }) => {
    process.env['FORGEFLOW_TEST_SECRET'] = 'our secret';
    const outcome = await world.run("cat /proc/self/oom_score_adj; env; tr '\\0' '\\n' </proc/$PPID/environ; exit 3", {
      env: { OWN: "it's\n$HOME" },
    });
    delete process.env['FORGEFLOW_TEST_SECRET'];
    const text = printed(outcome);
    expect(text).not.toContain('our secret');
    const names = new Set([...text.matchAll(/^(\w+)=/gm)].map(([, name]) => name));
    for (const shells of ['PWD', 'OLDPWD', 'SHLVL', '_']) names.delete(shells);
    expect([...names].sort()).toEqual(
      'FORGEFLOW_CHECK_RUN FORGEFLOW_RESULT FORGEFLOW_SECRETS HOME LANG OWN PATH TMPDIR TOKEN'.split(' '),
    );
    expect(text).toContain("OWN=it's\n$HOME\n");
    expect(text).toMatch(/^1000\n/); // the first to go where memory is short
  });

  inWorld('has a home and a folder for temporary files of its own, which go with it', async ({ world, expect }) => {
    const outcome = await world.run('touch ~/a "$TMPDIR/b" && mktemp && ls -d ~ "$TMPDIR" && pwd && exit 3');
    for (const line of printed(outcome).split('\n')) expect(line).toContain(world.host.root);
  });

  inWorld('has its secrets as files outside of the checkout, and they are not repeated', async ({ world, expect }) => {
    const secrets = { 'npm-token': 's3cret-token', 'key.pem': Buffer.from('-----BEGIN\nabcdef\n-----END\n') };
    const show = `cd "$FORGEFLOW_SECRETS" && ls -ld . * && pwd && cat * && exit 3`;
    const text = printed(await world.run(show, { secrets }));
    expect(text).toMatch(/^drwx------.*\n-rw-------.* key\.pem\n-rw-------.* npm-token\n/);
    expect(text).not.toMatch(/s3cret|abcdef/);
    expect(text).toMatch(/secrets\n\*\*\*\n\*\*\*$/);
    expect(text).not.toContain('checkout');
  });

  inWorld('has secrets as files in its home folder, and finds nothing else there', async ({ world, expect }) => {
    const homeFiles = {
      '.npmrc': '//registry/:_authToken=npm-s3cret\n',
      '.config/pip/pip.conf': Buffer.from('pip-s3cret'),
    };
    const show = 'cd && find . -type f -exec ls -l {} + && ls -ld .config && cat .npmrc .config/pip/pip.conf && exit 3';
    const text = printed(await world.run(show, { homeFiles }));
    expect(text).toMatch(
      /^-rw-------.* \.\/\.config\/pip\/pip\.conf\n-rw-------.* \.\/\.npmrc\ndrwx------.*\n\*\*\*\n\*\*\*$/,
    );
  });

  inWorld('does not give secrets away: in no field of a problem, and not by halves', async ({ world, expect }) => {
    const secret = 's3cret "of\\ours"';
    const result = {
      ruleId: `rule ${secret}`,
      message: { text: `${'x'.repeat(3_990)}${secret} and more` },
      locations: [{ physicalLocation: { artifactLocation: { uri: encodeURI(`a/${secret}.js`) } } }],
    };
    const sarif = { version: '2.1.0', runs: [{ tool: { driver: { name: 'lint' } }, results: [result] }] };
    const homeFiles = { '.token': secret };
    const outcome = await world.run(['printf', '%s', JSON.stringify(sarif)], { homeFiles });
    expect(outcome).toMatchObject({ problems: [{ path: 'a/***.js', ruleId: 'rule ***' }] });
    expect(JSON.stringify(outcome)).not.toMatch(/s3cret|ours/);
    const blame = { executionSuccessful: false, toolExecutionNotifications: [{ message: { text: `no ${secret}` } }] };
    const failing = { version: '2.1.0', runs: [{ tool: { driver: { name: 'lint' } }, invocations: [blame] }] };
    const failed = await world.run(['printf', '%s', JSON.stringify(failing)], { homeFiles });
    expect(failed).toMatchObject({ failure: 'malformed_result', reason: 'reported that lint failed: no ***' });
    expect(JSON.stringify(failed)).not.toMatch(/s3cret|ours/);
    // The last 4,000 characters begin within it.
    const long = await world.run(`cat ~/.token; printf '%03995d' 0; base64 <~/.token; exit 3`, { homeFiles });
    expect(printed(long)).toMatch(/^\**0+\*\*\*=*$/);
  });

  inWorld('ends in an error with the reason, many at the same time', async ({ world, expect }) => {
    const outcomes = await Promise.all(WRONG.map(async ([command]) => [command, await world.run(command)] as const));
    for (const [at, [command, failure, reason]] of WRONG.entries()) {
      expect(outcomes[at]).toEqual([command, expect.objectContaining({ kind: 'failed', failure, reason })]);
    }
  });

  inWorld('tells what was printed last, without what a terminal would obey', async ({ world, expect }) => {
    const outcome = await world.run("seq 9999; printf 'a\\033[1m\\0b' >&2; exit 3");
    expect(printed(outcome)).toBe('a\ufffd[1m\ufffdb');
    const long = printed(await world.run('seq 9999; exit 3'));
    expect(long.length).toBeLessThanOrEqual(4_000);
    expect(long).toMatch(/9998\n9999$/);
  });
});

describe('U4a: a confined check', async () => {
  const isPossible = (await confinements()).includes('namespaces');
  let world: CheckWorld;
  beforeAll(async () => {
    const outer = await checkWorld('none');
    await writeFile(join(outer.host.root, 'ours'), 'our file');
    world = await checkWorld('namespaces', [join(outer.host.root), OUR_FILE]);
    return () => outer.remove();
  });
  afterEach(() => world.expectNothingLeft());
  afterAll(() => world.remove());

  test.runIf(isPossible)(
    'sees neither our processes nor what others have in /tmp, and writes nowhere else',
    async () => {
      const outcome = await world.run(
        `ls /proc | grep -c '^[0-9]'; ls "$FORGEFLOW_SECRETS/../.."; ls /tmp; touch /tmp/t /var/tmp/t /dev/shm/t
       for at in / /etc /usr /home /root /opt /srv /var /run; do touch $at/forgeflow-check-was-here 2>/dev/null && echo $at; done
       cat "${world.host.hidden[0] ?? ''}/ours" "${OUR_FILE}" 2>/dev/null; umount /tmp 2>/dev/null && echo unmounted
       id -u; exit 3`,
      );
      const [processes, ...lines] = printed(outcome).split('\n');
      expect(Number(processes)).toBeLessThan(8);
      const top = world.host.root.split('/')[2]!;
      expect(lines.map((line) => (/^\d{9,}$/.test(line) ? 'run' : line))).toEqual([
        'run',
        top,
        String(process.getuid!()),
      ]);
    },
  );

  test.runIf(isPossible)('cannot read the environment of who runs it, by any process number', async () => {
    const outcome = await world.run("cat /proc/*/environ | tr '\\0' '\\n' | grep -c VITEST; exit 3");
    expect(readFileSync('/proc/self/environ', 'latin1')).toContain('VITEST');
    expect(printed(outcome)).toBe('0');
  });
});

describe('U4a: a check that is written wrongly is not started', async () => {
  const world = await checkWorld('none');
  afterAll(() => world.remove());
  test.each([
    [{ command: [] }, 'has no command'],
    [{ command: ' ' }, 'has no command'],
    [{ command: 'a\0b' }, 'has a command with a NUL in it'],
    [{ command: ['-c', 'x'] }, 'has a program whose name begins with "-"'],
    [{ command: 'x'.repeat(200_000) }, 'has a command of more than 100,000 characters'],
    [{ env: { 'A B': '' } }, 'has an environment variable with a wrong name: "A B"'],
    [{ env: { FORGEFLOW_RESULT: '' } }, 'must not set the environment variable FORGEFLOW_RESULT'],
    [{ env: { A: 'a\0' } }, 'has the environment variable A with a NUL in it'],
    [{ secrets: { '../a': '' } }, 'has a secret with a wrong name: "../a"'],
    [{ secrets: { '..': '' } }, 'has a secret with a wrong name: ".."'],
    [{ homeFiles: { 'a/../../b': '' } }, 'has a secret at a path that is none: "a/../../b"'],
    [{ homeFiles: { '/a': '' } }, 'has a secret at a path that is none: "/a"'],
  ])('%#', async (check, reason) => {
    const { command = 'true', ...more } = check as { command?: string };
    const outcome = await world.run(command, more);
    expect(outcome).toEqual({ kind: 'failed', failure: 'invalid_command', reason, printed: '' });
  });
});
