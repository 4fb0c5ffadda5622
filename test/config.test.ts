import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Config, ConfigError, loadConfig, required } from '../src/config.ts';

const KEY = randomBytes(32).toString('base64');
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'forgeflow-config-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const load = (environment: NodeJS.ProcessEnv = {}): Config => loadConfig(environment, directory);

function errorOf(call: () => unknown): ConfigError {
  try {
    call();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('there was no error');
}

describe('settings', () => {
  test('none at all give the defaults', () => {
    expect(load()).toEqual({
      databaseUrl: undefined,
      temporalEnv: {},
      webUiUrl: undefined,
      home: join(directory, '.forgeflow'),
      dotenvFile: join(directory, '.env'),
      storageDirectory: join(directory, '.forgeflow', 'storage'),
      gitConcurrency: 2,
      gitCaFile: undefined,
      checksConcurrency: 2,
      checkPluginsFile: undefined,
      checkConfinement: 'auto',
      cache: { kind: 'off' },
      cacheQuotaBytes: 0,
      programPath: undefined,
      secretsKey: undefined,
      egressConcurrency: 10,
      egressConcurrencyPerSubscription: 3,
      expressBacklog: 100,
      breakerFailures: 5,
      deliveryTimeoutMs: 10_000,
      deliveryRetentionDays: 30,
      deliveryAllowedNetworks: [],
      deliveryProxy: undefined,
      logLevel: 'info',
      metricsPort: undefined,
      ingressPort: 8088,
      ingressToken: undefined,
      ingressUrl: undefined,
      gitlabUrl: undefined,
      gitlabToken: undefined,
      gitlabGroup: undefined,
      gitlabHookEvents: [
        ...['push', 'tag_push', 'merge_requests', 'issues', 'note', 'job', 'pipeline'],
        ...['member', 'project', 'subgroup'],
      ],
      gitlabRateLimitReserve: 50,
      gitlabVerifyMs: 24 * 3_600_000,
      gitlabConcurrency: 4,
      gitlabInstallCron: '*/10 * * * *',
    });
  });

  test('all of them are read', () => {
    const config = load({
      DATABASE_URL: 'postgres://ann:pw@db/forgeflow',
      TEMPORAL_ADDRESS: 'temporal:7233',
      FORGEFLOW_HOME: 'data',
      STORAGE_DIR: '/srv/clones',
      GIT_CONCURRENCY: '7',
      GIT_SSL_CAINFO: '/etc/ca.pem',
      CHECKS_CONCURRENCY: '3',
      CHECK_PLUGINS: 'plugins.yaml',
      CHECK_CONFINEMENT: 'none',
      CACHE: 's3',
      CACHE_QUOTA_BYTES: '5000000000',
      CACHE_S3_ENDPOINT: 'https://s3.example.com/',
      CACHE_S3_BUCKET: 'artefacts',
      CACHE_S3_PREFIX: 'forgeflow/',
      CACHE_S3_REGION: 'eu-central-1',
      CACHE_S3_ACCESS_KEY_ID: 'id',
      CACHE_S3_SECRET_ACCESS_KEY: 'secret',
      PATH: '/usr/bin:/bin',
      SECRETS_KEY: KEY,
      EGRESS_CONCURRENCY: '25',
      EGRESS_CONCURRENCY_PER_SUBSCRIPTION: '20',
      EXPRESS_BACKLOG: '0',
      BREAKER_FAILURES: '9',
      DELIVERY_TIMEOUT_MS: '500',
      DELIVERY_RETENTION_DAYS: '0.25',
      DELIVERY_ALLOWED_NETWORKS: ' 10.1.0.0/16, 192.168.7.7\tfd12::/16 ',
      DELIVERY_PROXY: 'http://ann:pw@proxy:3128',
      LOG_LEVEL: 'debug',
      METRICS_PORT: '9464',
      INGRESS_PORT: '8443',
      INGRESS_TOKEN: 'sixteen-or-more!',
      INGRESS_URL: 'https://hooks.example.com/forgeflow/',
      GITLAB_URL: 'https://gitlab.example.com:8443//',
      GITLAB_TOKEN: 'glpat-x',
      GITLAB_GROUP: '/acme/backend/',
      GITLAB_HOOK_EVENTS: 'releases, push subgroup,push',
      GITLAB_RATE_LIMIT_RESERVE: '0',
      GITLAB_VERIFY_HOURS: '0.0005',
      GITLAB_CONCURRENCY: '50',
      GITLAB_INSTALL_CRON: '5 4 * * mon-fri',
      UNRELATED: 'x',
    });
    expect(config).toEqual({
      databaseUrl: 'postgres://ann:pw@db/forgeflow',
      temporalEnv: { TEMPORAL_ADDRESS: 'temporal:7233' },
      webUiUrl: undefined,
      home: join(directory, 'data'),
      dotenvFile: join(directory, '.env'),
      storageDirectory: '/srv/clones',
      gitConcurrency: 7,
      gitCaFile: '/etc/ca.pem',
      checksConcurrency: 3,
      checkPluginsFile: join(directory, 'plugins.yaml'),
      checkConfinement: 'none',
      cache: {
        kind: 's3',
        endpoint: 'https://s3.example.com',
        bucket: 'artefacts',
        prefix: 'forgeflow/',
        region: 'eu-central-1',
        accessKeyId: 'id',
        secretAccessKey: 'secret',
      },
      cacheQuotaBytes: 5_000_000_000,
      programPath: '/usr/bin:/bin',
      secretsKey: KEY,
      egressConcurrency: 25,
      egressConcurrencyPerSubscription: 20,
      expressBacklog: 0,
      breakerFailures: 9,
      deliveryTimeoutMs: 500,
      deliveryRetentionDays: 0.25,
      deliveryAllowedNetworks: ['10.1.0.0/16', '192.168.7.7', 'fd12::/16'],
      deliveryProxy: 'http://ann:pw@proxy:3128',
      logLevel: 'debug',
      metricsPort: 9464,
      ingressPort: 8443,
      ingressToken: 'sixteen-or-more!',
      ingressUrl: 'https://hooks.example.com/forgeflow',
      gitlabUrl: 'https://gitlab.example.com:8443',
      gitlabToken: 'glpat-x',
      gitlabGroup: 'acme/backend',
      gitlabHookEvents: ['push', 'releases', 'subgroup'],
      gitlabRateLimitReserve: 0,
      gitlabVerifyMs: 1_800,
      gitlabConcurrency: 50,
      gitlabInstallCron: '5 4 * * mon-fri',
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  test('an empty value is the same as none', () => {
    const names = ['DATABASE_URL', 'FORGEFLOW_HOME', 'SECRETS_KEY', 'EGRESS_CONCURRENCY', 'DELIVERY_TIMEOUT_MS'];
    const git = ['STORAGE_DIR', 'GIT_CONCURRENCY', 'GIT_SSL_CAINFO'];
    const more = ['DELIVERY_ALLOWED_NETWORKS', 'DELIVERY_PROXY', 'LOG_LEVEL', 'METRICS_PORT'];
    const newer = ['EGRESS_CONCURRENCY_PER_SUBSCRIPTION', 'BREAKER_FAILURES', 'INGRESS_PORT', 'INGRESS_TOKEN'];
    const gitlab = [
      'URL',
      'TOKEN',
      'GROUP',
      'HOOK_EVENTS',
      'RATE_LIMIT_RESERVE',
      'VERIFY_HOURS',
      'CONCURRENCY',
      'INSTALL_CRON',
    ];
    newer.push('INGRESS_URL', 'EXPRESS_BACKLOG', 'DELIVERY_RETENTION_DAYS', ...gitlab.map((name) => `GITLAB_${name}`));
    expect(load(Object.fromEntries([...names, ...git, ...more, ...newer].map((name) => [name, ''])))).toEqual(load());
  });

  test.each([
    [
      'DATABASE_URL',
      ['pa55word', 'mysql://ann:pa55word@db/x', 'db.example:5432'],
      /it is not a URL that starts with postgres:/,
    ],
    [
      'SECRETS_KEY',
      ['pa55word', randomBytes(31).toString('base64'), randomBytes(32).toString('hex')],
      /it is not the base64 of 32 bytes/,
    ],
    ['EGRESS_CONCURRENCY', ['ten', 'NaN'], /it is not a number/],
    ['EGRESS_CONCURRENCY', ['1.5'], /it is not a whole number/],
    ['EGRESS_CONCURRENCY', ['0', '-1'], /it is below 1/],
    ['EGRESS_CONCURRENCY', ['1001'], /it is above 1000/],
    ['DELIVERY_RETENTION_DAYS', ['a month', 'Infinity', 'NaN'], /it is not a number/],
    ['DELIVERY_RETENTION_DAYS', ['0', '-1', '-0.5'], /it is not above 0/],
    ['DELIVERY_RETENTION_DAYS', ['36501'], /it is above 36500/],
    ['DELIVERY_TIMEOUT_MS', ['10s'], /it is not a number/],
    ['DELIVERY_TIMEOUT_MS', ['99'], /it is below 100/],
    ['DELIVERY_TIMEOUT_MS', ['60001'], /it is above 60000/],
    [
      'DELIVERY_ALLOWED_NETWORKS',
      ['lan', '10.0.0.0/33', '10/8', '10', '10.1.2', '0x7f.0.0.1', '10.0.0.0/8,lan', 'fd12::/129', '/8', '1.2.3.4/8/8'],
      /it is not a list of networks/,
    ],
    [
      'DELIVERY_PROXY',
      ['proxy:3128', 'socks5://ann:pa55word@proxy:1080', 'pa55word'],
      /it is not a URL that starts with http:/,
    ],
    ['LOG_LEVEL', ['verbose', 'INFO'], /it is not one of trace, debug, info, warn, error/],
    ['METRICS_PORT', ['0', '65536', 'nine', '1.5'], /it is not a port/],
    ['INGRESS_PORT', ['0', '65536', 'nine', '1.5'], /it is not a port/],
    ['INGRESS_TOKEN', ['x', 'pa55word'], /it has fewer than 16 characters \(make one: openssl rand -hex 32\)/],
    ['INGRESS_TOKEN', ['pa55word with spaces', 'pa55word\u00fcber-alles'], /it has a character that is not printable/],
    ['EXPRESS_BACKLOG', ['many', 'NaN'], /it is not a number/],
    ['EXPRESS_BACKLOG', ['0.5'], /it is not a whole number/],
    ['EXPRESS_BACKLOG', ['-1'], /it is below 0/],
    ['EXPRESS_BACKLOG', ['1000001'], /it is above 1000000/],
    ['BREAKER_FAILURES', ['0'], /it is below 1/],
    ['BREAKER_FAILURES', ['1001'], /it is above 1000/],
    ['EGRESS_CONCURRENCY_PER_SUBSCRIPTION', ['half'], /it is not a number/],
    ['EGRESS_CONCURRENCY_PER_SUBSCRIPTION', ['0'], /it is below 1/],
    ['EGRESS_CONCURRENCY_PER_SUBSCRIPTION', ['1001'], /it is above 1000/],
    ...['INGRESS_URL', 'GITLAB_URL'].flatMap((name): [string, string[], RegExp][] => [
      [
        name,
        ['gitlab.example.com', 'ssh://git@gitlab.example.com', 'pa55word', '//x', 'http://'],
        /it is not a URL that starts with http:\/\/ or https:\/\//,
      ],
      [
        name,
        ['https://ann:pa55word@gitlab.example.com', 'https://ann@gitlab.example.com'],
        /it has a user name or pass/,
      ],
      [name, ['https://example.com/?a=b', 'https://example.com/#a'], /it has more than a path at its end/],
    ]),
    [
      'GITLAB_TOKEN',
      ['pa55word with spaces', 'pa55word\n', 'pa55wörd-glpat'],
      /it has a character that is not printable/,
    ],
    [
      'GITLAB_GROUP',
      ['acme backend', 'acme//backend', '/', 'https://gitlab.example.com/acme', 'a?b'],
      /it is not the path/,
    ],
    [
      'GITLAB_HOOK_EVENTS',
      ['push_events', 'push,everything', 'Push', ',', '*'],
      /it is not a list of push, tag_push, /,
    ],
    ['GITLAB_RATE_LIMIT_RESERVE', ['-1'], /it is below 0/],
    ['GITLAB_RATE_LIMIT_RESERVE', ['some'], /it is not a number/],
    ['GITLAB_VERIFY_HOURS', ['0', '-1'], /it is not above 0/],
    ['GITLAB_VERIFY_HOURS', ['8761'], /it is above 8760/],
    ['GITLAB_VERIFY_HOURS', ['daily', 'Infinity'], /it is not a number/],
    ['GIT_CONCURRENCY', ['0'], /it is below 1/],
    ['GIT_CONCURRENCY', ['65'], /it is above 64/],
    ['CHECKS_CONCURRENCY', ['0'], /it is below 1/],
    ['CHECK_CONFINEMENT', ['docker'], /it is not one of auto, none/],
    ['CACHE', ['redis'], /it is not one of off, folder, s3/],
    ['CACHE_QUOTA_BYTES', ['-1'], /it is below 0/],
    ['GITLAB_CONCURRENCY', ['0'], /it is below 1/],
    ['GITLAB_CONCURRENCY', ['51'], /it is above 50/],
    ['GITLAB_CONCURRENCY', ['2.5'], /it is not a whole number/],
    [
      'GITLAB_INSTALL_CRON',
      ['hourly', '@daily', '* * * *', '61 * * * *', '* * * * * *'],
      /it is not a cron expression/,
    ],
  ])('a bad %s is refused by its name, and not repeated: %j', (variable, values, problem) => {
    for (const value of values) {
      const error = errorOf(() => load({ [variable]: value }));
      expect(error.message).toMatch(new RegExp(`^${variable}: ${problem.source}`));
      expect(error.variable).toBe(variable);
      if (value.length > 8) expect(error.message).not.toContain(value);
      expect(error.message).not.toContain('pa55word');
    }
  });

  test.each([
    ['1', 1],
    ['4', 1],
    ['5', 2],
    ['1000', 250],
  ])('of EGRESS_CONCURRENCY=%s one subscription gets %d, a quarter, where nothing else is set', (all, one) => {
    expect(load({ EGRESS_CONCURRENCY: all }).egressConcurrencyPerSubscription).toBe(one);
  });

  test('one that is needed and missing is named', () => {
    expect(
      errorOf(() => {
        required('DATABASE_URL', undefined);
      }).message,
    ).toBe('DATABASE_URL: it is not set');
    expect(required('DATABASE_URL', 'x')).toBe('x');
  });
});

describe('.env', () => {
  const dotenv = (text: string): void => {
    writeFileSync(join(directory, '.env'), text);
  };

  test('is read', () => {
    dotenv('# comment\nEGRESS_CONCURRENCY=7\nTEMPORAL_NAMESPACE="ff"\n');
    expect(load()).toMatchObject({ egressConcurrency: 7, temporalEnv: { TEMPORAL_NAMESPACE: 'ff' } });
  });

  test('the environment wins over it', () => {
    dotenv('EGRESS_CONCURRENCY=7\nDELIVERY_TIMEOUT_MS=700\n');
    expect(load({ EGRESS_CONCURRENCY: '8' })).toMatchObject({ egressConcurrency: 8, deliveryTimeoutMs: 700 });
  });

  test('a bad value in it is refused by its name', () => {
    dotenv('LOG_LEVEL=loud\n');
    expect(errorOf(() => load()).message).toMatch(/^LOG_LEVEL: /);
  });
});

describe('a running `forgeflow dev`', () => {
  const running = {
    pid: process.pid,
    databaseUrl: 'postgres://dev',
    temporalAddress: '127.0.0.1:7233',
    webUiUrl: 'http://127.0.0.1:8233',
    secretsKey: KEY,
    ingressUrl: 'http://127.0.0.1:8088',
    ingressToken: 'token-of-the-running-dev',
  };
  const leave = (text: string): void => {
    mkdirSync(join(directory, '.forgeflow'));
    writeFileSync(join(directory, '.forgeflow', 'running.json'), text);
  };

  test('is found where nothing else is set', () => {
    leave(JSON.stringify(running));
    expect(load()).toMatchObject({
      databaseUrl: running.databaseUrl,
      temporalEnv: { TEMPORAL_ADDRESS: running.temporalAddress },
      webUiUrl: running.webUiUrl,
      secretsKey: KEY,
      ingressToken: running.ingressToken,
      ingressUrl: running.ingressUrl,
    });
  });

  test('gives way to what is set, and keeps its key and token for its own database', () => {
    leave(JSON.stringify(running));
    const config = load({ DATABASE_URL: 'postgres://other', TEMPORAL_ADDRESS: 'other:7233' });
    expect(config).toMatchObject({ databaseUrl: 'postgres://other', secretsKey: undefined, webUiUrl: undefined });
    expect([config.ingressToken, config.ingressUrl]).toEqual([undefined, undefined]);
    expect(load({ INGRESS_URL: 'https://hooks.example.com' }).ingressUrl).toBe('https://hooks.example.com');
    expect(load({ INGRESS_TOKEN: 'a-token-of-my-own' }).ingressToken).toBe('a-token-of-my-own');
    expect(config.temporalEnv).toEqual({ TEMPORAL_ADDRESS: 'other:7233' });
  });

  test.each([
    ['of a process that is gone', JSON.stringify({ ...running, pid: 2 ** 30 })],
    ['of another shape', JSON.stringify({ pid: process.pid })],
    ['half written', JSON.stringify(running).slice(0, -20)],
    ['empty', ''],
  ])('a file %s means nothing', (_, text) => {
    leave(text);
    expect(load()).toMatchObject({ databaseUrl: undefined, secretsKey: undefined });
  });
});
