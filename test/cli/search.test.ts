import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SearchResults } from '../../src/client/search.ts';
import { MAIN, type SearchWorld, startSearchWorld } from '../support/search-world.ts';
import { forgeflow, forgeflowJson } from './forgeflow.ts';

let world: SearchWorld;
let home: string;
let env: Record<string, string>;

beforeAll(async () => {
  world = await startSearchWorld();
  home = mkdtempSync(join(tmpdir(), 'forgeflow-cli-'));
  env = { FORGEFLOW_HOME: home, DATABASE_URL: world.database.url, SECRETS_KEY: Buffer.alloc(32).toString('base64') };
  const one = await world.add('group/pottery');
  await one.repository.commit({
    ref: MAIN,
    tree: {
      'src/kiln.ts': 'export class Kiln {\n  fire(): void {}\n}\n',
      'test/with\nline.ts': '\tnew Kiln().fire();\n',
      'kiln.png': Buffer.from('\0'),
    },
  });
  await one.reindex();
  const other = await world.add('group/oven');
  await other.repository.commit({ ref: MAIN, tree: { 'oven.ts': 'is no kiln\n' } });
  await other.reindex();
});

afterAll(async () => {
  await world.close();
  rmSync(home, { recursive: true, force: true });
});

describe('forgeflow search', () => {
  test('J11: --json is results and whether there is more, exactly', async () => {
    expect(await forgeflowJson<SearchResults>(['search', 'kiln fire', '--repository', 'Group/Pottery'], env)).toEqual({
      results: [
        { repository: 'group/pottery', path: 'src/kiln.ts', line: 1, excerpt: 'export class Kiln {' },
        { repository: 'group/pottery', path: 'test/with\nline.ts', line: 1, excerpt: 'new Kiln().fire();' },
      ],
      truncated: false,
    });
    expect(await forgeflowJson(['search', 'png', '--limit', '1'], env)).toEqual({
      results: [{ repository: 'group/pottery', path: 'kiln.png', line: null, excerpt: null }],
      truncated: false,
    });
    expect(await forgeflowJson(['search', 'nowhere'], env)).toEqual({ results: [], truncated: false });
  });

  test('J11: for people, as git grep prints it, under the names of the repositories', async () => {
    const { stdout, exitCode } = await forgeflow(['search', 'kiln'], env);
    expect(exitCode).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'group/pottery',
      'src/kiln.ts:1: export class Kiln {',
      'test/with\ufffdline.ts:1: new Kiln().fire();',
      'kiln.png',
      '',
      'group/oven',
      'oven.ts:1: is no kiln',
    ]);
    const limited = await forgeflow(['search', 'kiln', '--limit', '1'], env);
    expect(limited.stdout).toContain('There is more');
    expect((await forgeflow(['search', 'nowhere'], env)).stdout).toBe('Nothing matches.');
  });

  test('J11: on a terminal, what matches is in colour', async () => {
    const { stdout } = await forgeflow(['search', 'fire new'], { ...env, FORCE_COLOR: '1' });
    const mark = (text: string): string => `\u001b[1m\u001b[31m${text}\u001b[39m\u001b[22m`;
    expect(stdout).toContain(`${mark('new')} Kiln().${mark('fire')}();`);
  });

  test.each<[string, string[], number, RegExp]>([
    [
      'a repository that is not tracked',
      ['kiln', '--repository', 'group/none'],
      3,
      /no repository "group\/none" is tracked/,
    ],
    ['no terms', ['   '], 2, /terms: they are empty/],
    ['a quote that is not closed', ['"kiln'], 2, /terms: a quote is not closed/],
    ['too many terms', ['a b c d e f g h i j k'], 2, /terms: there are 11; 10 at most/],
    ['a limit that is none', ['kiln', '--limit', 'many'], 2, /limit: it is a whole number from 1 to 100/],
    ['a limit that is too large', ['kiln', '--limit', '101'], 2, /limit: it is a whole number from 1 to 100/],
    ['nothing at all', [], 2, /missing required argument 'terms'/],
  ])('J11: %s', async (_, args, code, message) => {
    const { exitCode, stderr, stdout } = await forgeflow(['search', ...args, '--json'], env);
    expect(stderr).toMatch(message);
    expect([exitCode, stdout]).toEqual([code, '']);
  });
});
