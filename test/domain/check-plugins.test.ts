import { describe, expect, test } from 'vitest';
import { parseCheckPlugins, PLUGINS_LIMIT } from '../../src/domain/check-plugins.ts';

const parse = (text: string | Uint8Array) =>
  parseCheckPlugins(typeof text === 'string' ? new TextEncoder().encode(text) : text, 'plugins.yaml');
const under = (...lines: string[]): string => ['version: 1', 'plugins:', ...lines, ''].join('\n');

describe('the file of plugins', () => {
  test('U4a: what it may say is read, arguments and variables as they stand there', () => {
    const plugins = parse(`
version: 1
plugins:
  eslint:
    command: eslint --format sarif .
  acme/golangci-lint:v0.1:
    command: [golangci-lint, run, --timeout, 5, --depth, 1.10]
    time_limit_seconds: 900
    memory_limit_mb: 4096
    output_limit_kb: 512
    disk_limit_mb: 100
    processes: 64
    env: { CI: true, LEVEL: 1.10, EMPTY: '' }
`);
    const none = { memoryLimitMb: undefined, outputLimitKb: undefined, diskLimitMb: undefined, processes: undefined };
    expect(Object.fromEntries(plugins)).toEqual({
      eslint: { command: 'eslint --format sarif .', env: {}, timeLimitSeconds: undefined, ...none },
      'acme/golangci-lint:v0.1': {
        command: ['golangci-lint', 'run', '--timeout', '5', '--depth', '1.10'],
        env: { CI: 'true', LEVEL: '1.10', EMPTY: '' },
        timeLimitSeconds: 900,
        memoryLimitMb: 4_096,
        outputLimitKb: 512,
        diskLimitMb: 100,
        processes: 64,
      },
    });
    expect(parse('version: 1\nplugins: {}\n').size).toBe(0);
  });

  test.each<[string, string | Uint8Array, string]>([
    ['empty', '', 'line 1, column 1: the file is empty; the least is "version: 1" and "plugins: {}"'],
    ['no YAML', under('  a: [b'), 'line 4, column 1: the indentation does not fit'],
    ['not UTF-8', Buffer.from([0x61, 0x0a, 0xff]), 'line 2, column 1: the file is not text in UTF-8'],
    ['too large', Buffer.alloc(PLUGINS_LIMIT + 1, 0x20), 'line 1, column 1: the file is 262145 bytes long'],
    ['an anchor', under('  a: &a', '    command: b'), 'line 3, column 6: plugins.a: there is an anchor (&a)'],
    ['another version', 'version: 2\nplugins: {}\n', 'line 1, column 10: version: it is not 1'],
    ['no plugins', 'version: 1\n', 'line 1, column 1: plugins: it is missing'],
    ['a list', 'version: 1\nplugins: []\n', 'line 2, column 10: plugins: it is not a mapping of keys to values'],
    [
      'a wrong name',
      under('  "a b":', '    command: b'),
      'line 3, column 3: plugins.a b: it is not the name of a plugin',
    ],
    ['no command', under('  a: {}'), 'line 3, column 3: plugins.a.command: it is missing'],
    ['a blank command', under('  a: { command: " " }'), 'line 3, column 17: plugins.a.command: it names no program'],
    ['an empty command', under('  a: { command: [] }'), 'line 3, column 17: plugins.a.command: it names no program'],
    ['a nested command', under('  a: { command: [[b]] }'), 'plugins.a.command: it is neither a line for the shell'],
    [
      'an unknown key',
      under('  a:', '    command: b', '    image: c'),
      'line 5, column 5: plugins.a.image: there is no such key; there are: command, time_limit_seconds,',
    ],
    [
      'a key that is there twice',
      under('  a: { command: b }', '  a: { command: c }'),
      'line 4, column 3: plugins.a: the key is there twice',
    ],
    ['no time', under('  a: { command: b, time_limit_seconds: 0 }'), 'plugins.a.time_limit_seconds: it is below 1'],
    [
      'too much time',
      under('  a: { command: b, time_limit_seconds: 3601 }'),
      'plugins.a.time_limit_seconds: it is above 3600',
    ],
    ['half a process', under('  a: { command: b, processes: 1.5 }'), 'plugins.a.processes: it is not a whole number'],
    [
      'a limit in words',
      under('  a: { command: b, memory_limit_mb: 1 GB }'),
      'plugins.a.memory_limit_mb: it is not a number',
    ],
    [
      'a variable of ours',
      under('  a: { command: b, env: { HOME: / } }'),
      'line 3, column 27: plugins.a.env.HOME: this variable is set for every check',
    ],
  ])('bad input: %s: one sentence with line and column', (_, text, problem) => {
    let message = '';
    try {
      parse(text);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain(problem);
    expect(message).toMatch(/^plugins\.yaml, line \d+, column \d+: [^\n]+$/);
  });
});
