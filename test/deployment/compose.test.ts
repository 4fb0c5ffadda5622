import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { parse as parseDotenv } from 'dotenv';
import { execa } from 'execa';
import { afterAll, describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { ConfigError, loadConfig } from '../../src/config.ts';
import { temporalSettings } from '../../src/temporal/connection.ts';

// There is no Docker engine where these files are written; this is what can be said about them without one.

const root = (path: string): string => join(import.meta.dirname, '../..', path);
const read = (path: string): string => readFileSync(root(path), 'utf8');
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

const composeText = read('docker-compose.yml');
const composeFile: unknown = parseYaml(composeText, { merge: true });
const example = parseDotenv(read('.env.example'));
const emptyDirectory = mkdtempSync(join(tmpdir(), 'forgeflow-deployment-'));

afterAll(() => {
  rmSync(emptyDirectory, { recursive: true });
});

/** The variables that docker-compose.yml takes from the environment, and how: `${NAME:-default}` or `${NAME:?error}`. */
const substitutions = [...composeText.matchAll(/(?<!\$)\$\{?(\w+)(:[-?])?/g)].map(([text, name = '', operator]) => ({
  text,
  name,
  operator,
}));
const composeNames = new Set(substitutions.map(({ name }) => name));
const COMPOSE_ONLY = ['POSTGRES_PASSWORD'];
/** What only makes sense outside of compose, where its own Postgres and Temporal are not used. */
const NOT_PASSED_ON = [
  'FORGEFLOW_HOME',
  'GIT_SSL_CAINFO',
  'TEMPORAL_API_KEY',
  'TEMPORAL_TLS',
  'TEMPORAL_TLS_CLIENT_CERT_PATH',
  'TEMPORAL_TLS_CLIENT_KEY_PATH',
];

const composeShape = z.object({
  services: z.record(
    z.string(),
    z.object({
      image: z.string(),
      command: z.array(z.string()).optional(),
      environment: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
      ports: z.array(z.string()).default([]),
      depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
      restart: z.string().optional(),
      stop_grace_period: z.string().optional(),
      healthcheck: z.looseObject({}).optional(),
    }),
  ),
});

/** Of a service that must be there. */
function service(name: string) {
  const found = composeShape.parse(composeFile).services[name];
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`);
  return found;
}

describe('docker-compose.yml', () => {
  test("is valid by the Compose Specification's schema", () => {
    // As github.com/compose-spec/compose-spec has it (Apache-2.0); this copy came with the npm package dclint 3.1.0.
    const schema = JSON.parse(read('test/support/compose-spec.json')) as Record<string, unknown>;
    delete schema['$schema']; // draft-07, by an address that ajv does not know
    const validate = new Ajv({ strict: false, allErrors: true }).compile(schema);
    expect(validate(composeFile) || validate.errors).toBe(true);
    expect(validate({ services: { worker: { imgae: 'forgeflow' } } })).toBe(false);
  });

  test('takes only variables that .env.example has', () => {
    expect(substitutions.length).toBeGreaterThan(10);
    expect([...composeNames].filter((name) => !(name in example))).toEqual([]);
  });

  test('says so when a variable is missing that it cannot do without, and only then', () => {
    const demanded = new Set(substitutions.filter(({ operator }) => operator === ':?').map(({ name }) => name));
    expect([...demanded].sort()).toEqual(['INGRESS_TOKEN', 'POSTGRES_PASSWORD', 'SECRETS_KEY']);
    for (const name of demanded) expect(example[name]).toBe('');
    expect(substitutions.filter(({ name, operator }) => operator === undefined || !(name in example))).toEqual([]);
    for (const { text, name, operator } of substitutions) {
      expect.soft(operator, text).toBe(demanded.has(name) ? ':?' : ':-');
    }
  });

  test('has no password or key in it', () => {
    const values = JSON.stringify(composeFile).replaceAll(/\$\{[^}]*\}/g, '');
    expect(values).not.toMatch(/[A-Za-z0-9+/]{40,}/);
    expect(values.match(/"[A-Z_]*(?:PASSWORD|PWD|SECRETS?_KEY|API_KEY|TOKEN)":"[^"]+"/g)).toBeNull();
    expect(values.match(/:\/\/[^/@"]*:[^/@"]+@/g)).toBeNull();
  });

  test('passes every setting on to the worker, or sets it', () => {
    const passed = Object.keys(service('worker').environment ?? {});
    const settings = Object.keys(example).filter((name) => !COMPOSE_ONLY.includes(name));
    expect(passed.sort()).toEqual(settings.filter((name) => !NOT_PASSED_ON.includes(name)).sort());
    expect(service('migrate').environment).toEqual(service('worker').environment);
  });

  test("gives a worker that nothing but the three secrets is set for the code's own defaults", () => {
    const environment = Object.fromEntries(
      Object.entries(service('worker').environment ?? {}).map(([name, value]) => [
        name,
        String(value).replaceAll(/\$\{(\w+):(?:-([^}]*)|\?[^}]*)\}/g, (_, variable: string, fallback?: string) =>
          variable === 'SECRETS_KEY' ? Buffer.alloc(32).toString('base64') : (fallback ?? 'secret-of-16-chars'),
        ),
      ]),
    );
    expect(loadConfig(environment, emptyDirectory)).toEqual({
      ...loadConfig({}, emptyDirectory),
      storageDirectory: '/var/lib/forgeflow',
      databaseUrl: 'postgres://forgeflow:secret-of-16-chars@postgres:5432/forgeflow',
      secretsKey: Buffer.alloc(32).toString('base64'),
      ingressToken: 'secret-of-16-chars',
      temporalEnv: { TEMPORAL_ADDRESS: 'temporal:7233', TEMPORAL_NAMESPACE: 'default' },
    });
  });

  test('opens ports on this machine only', () => {
    const { services } = composeShape.parse(composeFile);
    const ports = Object.values(services).flatMap((each) => each.ports);
    expect(ports.length).toBeGreaterThan(0);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  test('names a version of each image, and one version for what Temporal releases together', () => {
    const { services } = composeShape.parse(composeFile);
    const images = Object.values(services).map(({ image }) => image);
    expect(images.filter((image) => image !== 'forgeflow' && !/:\d/.test(image))).toEqual([]);
    const server = images.filter((image) => /^temporalio\/(?:server|admin-tools):/.test(image));
    expect(new Set(server.map((image) => image.split(':')[1])).size).toBe(1);
  });

  test('starts each part when what it needs is there', () => {
    const { services } = composeShape.parse(composeFile);
    expect(service('worker').depends_on['migrate']).toEqual({ condition: 'service_completed_successfully' });
    for (const [name, { depends_on }] of Object.entries(services)) {
      for (const [other, { condition }] of Object.entries(depends_on)) {
        const { restart, healthcheck } = service(other);
        // Something that is restarted never completes; something without a health check is never healthy.
        if (condition === 'service_completed_successfully') expect.soft(restart, `${name} → ${other}`).toBeUndefined();
        else expect.soft(healthcheck, `${name} → ${other}`).toBeDefined();
      }
    }
  });

  test('lets the longest attempt end when the worker is stopped', () => {
    const { stop_grace_period: grace, restart, command } = service('worker');
    const longestMs = longestDeliveryTimeoutMs();
    expect(longestMs).toBeGreaterThan(0);
    expect(Number(/^(\d+)s$/.exec(grace ?? '')?.[1]) * 1000).toBeGreaterThanOrEqual(longestMs + 5_000);
    expect({ restart, command }).toEqual({ restart: 'unless-stopped', command: ['worker'] });
  });
});

describe('the ingress in docker-compose.yml', () => {
  const { environment = {}, ports, healthcheck, command, depends_on, stop_grace_period } = service('ingress');

  test('is given what the worker is, but not the key of its secrets, nor the token of GitLab', () => {
    expect(command).toEqual(['ingress']);
    expect(environment).toEqual({ ...service('worker').environment, SECRETS_KEY: '', GITLAB_TOKEN: '' });
    expect(depends_on['migrate']).toEqual({ condition: 'service_completed_successfully' });
  });

  test('is published on the port that it listens to, by default that of the code', () => {
    const port = `\${INGRESS_PORT:-${loadConfig({}, emptyDirectory).ingressPort}}`;
    expect(ports).toEqual([`127.0.0.1:${port}:${port}`]);
  });

  test('is asked whether it is ready, by a program that does as it says', async () => {
    const [kind, node, option, program = ''] = z.array(z.string()).parse(healthcheck?.['test']);
    expect([kind, node, option]).toEqual(['CMD', 'node', '--eval']);
    const paths: string[] = [];
    let status = 200;
    const server = createServer((request, response) => {
      paths.push(request.url ?? '');
      response.writeHead(status).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const check = async (INGRESS_PORT: number): Promise<number | undefined> => {
      const args = ['--eval', program];
      return (await execa(process.execPath, args, { env: { INGRESS_PORT: String(INGRESS_PORT) }, reject: false }))
        .exitCode;
    };
    expect(await check(port)).toBe(0);
    status = 503;
    expect(await check(port)).toBe(1);
    await new Promise((resolve) => server.close(resolve));
    expect(await check(port)).toBe(1);
    expect(paths).toEqual(['/readyz', '/readyz']);
  });

  test('has the time that it takes to stop', () => {
    expect(Number(/^(\d+)s$/.exec(stop_grace_period ?? '')?.[1])).toBeGreaterThan(10);
  });
});

describe('.env.example', () => {
  test('changes nothing as it is: each value in it is the default', () => {
    expect(loadConfig(example, emptyDirectory)).toEqual({
      ...loadConfig({}, emptyDirectory),
      temporalEnv: { TEMPORAL_NAMESPACE: 'default' },
    });
  });

  test('has no variable that nothing reads', () => {
    const unread = Object.keys(example).filter((name) => !isSetting(name));
    expect(unread).toEqual(COMPOSE_ONLY);
    expect(unread.filter((name) => !composeNames.has(name))).toEqual([]);
    expect(isSetting('LOG_LEVLE') || isSetting('TEMPORAL_ADRESS')).toBe(false);
  });

  test('has every setting that src/settings.ts reads', () => {
    const names = [...read('src/settings.ts').matchAll(/^ {2}([A-Z][A-Z0-9_]+): /gm)].map(([, name = '']) => name);
    expect(names).toContain('DATABASE_URL');
    expect(names.filter((name) => !isSetting(name))).toEqual([]);
    expect([...names, 'TEMPORAL_ADDRESS', 'TEMPORAL_NAMESPACE'].filter((name) => !(name in example))).toEqual([]);
  });

  test('explains each of them in one line, with its default', () => {
    const all = read('.env.example').split('\n');
    for (const name of Object.keys(example)) {
      const explanation = all[all.findIndex((line) => line.startsWith(`${name}=`)) - 1];
      expect.soft(explanation, name).toMatch(/^# .*(Default: \S+|No default)/);
      if (example[name]) expect.soft(explanation, name).toContain(`Default: ${example[name]}`);
    }
  });
});

describe('Dockerfile', () => {
  const instructions = lines(read('Dockerfile').replaceAll('\\\n', ' '));
  const stages = instructions.flatMap((line) => /^FROM \S+ AS (\S+)$/.exec(line)?.[1] ?? []);
  const copies = instructions
    .filter((line) => line.startsWith('COPY '))
    .map((line) => line.split(/\s+/).slice(1))
    .map((words) => ({
      stage: words.find((word) => word.startsWith('--from='))?.slice('--from='.length),
      sources: words.filter((word) => !word.startsWith('--')).slice(0, -1),
    }));
  const fromHere = copies.filter(({ stage }) => stage === undefined).flatMap(({ sources }) => sources);

  test('copies what is there, and from stages that are there', () => {
    expect(fromHere).toEqual(expect.arrayContaining(['package-lock.json', 'src', 'workflows', 'activities', 'bin']));
    expect(fromHere.filter((source) => !existsSync(root(source)))).toEqual([]);
    const named = copies.flatMap(({ stage }) => stage ?? []);
    expect(named.filter((stage) => !stages.includes(stage))).toEqual([]);
  });

  test('copies all that the build compiles', () => {
    const { include } = z.object({ include: z.array(z.string()) }).parse(JSON.parse(read('tsconfig.build.json')));
    expect(include.filter((room) => !fromHere.includes(room))).toEqual([]);
  });

  test('is given exactly that, so nothing else can get into the image', () => {
    const [everything, ...exceptions] = lines(read('.dockerignore'));
    expect(everything).toBe('*');
    expect(exceptions.sort()).toEqual([...new Set(fromHere)].map((source) => `!${source}`).sort());
  });

  test('runs the worker, as a user without rights, on Node 20 with glibc', () => {
    expect(instructions).toEqual(
      expect.arrayContaining(['USER node', 'CMD ["worker"]', 'STOPSIGNAL SIGTERM', 'ENV NODE_ENV=production']),
    );
    const entrypoint = instructions.find((line) => line.startsWith('ENTRYPOINT '))?.slice('ENTRYPOINT '.length) ?? '';
    const [program, file = ''] = z.array(z.string()).parse(JSON.parse(entrypoint));
    expect(program).toBe('node');
    expect(existsSync(root(file.replace(/^\/app\//, '')))).toBe(true);
    const images = instructions.flatMap((line) => /^FROM (\S+:\S+)/.exec(line)?.[1] ?? []);
    expect(new Set(images)).toEqual(new Set(['node:20-bookworm-slim']));
  });
});

/** Does a nonsense value of this variable make a difference? */
const S3 = {
  CACHE: 's3',
  CACHE_S3_ENDPOINT: 'https://s3.example.com',
  CACHE_S3_BUCKET: 'artefacts',
  CACHE_S3_ACCESS_KEY_ID: 'id',
  CACHE_S3_SECRET_ACCESS_KEY: 'secret',
};

function isSetting(name: string): boolean {
  const settingsOf = (environment: Record<string, string>): string => {
    const { temporalEnv, ...config } = loadConfig(environment, emptyDirectory);
    return JSON.stringify([config, temporalSettings({ ...config, temporalEnv })]);
  };
  // With those settings by which others are read at all.
  const usual = name === 'CACHE' ? {} : S3;
  const before = settingsOf(usual);
  try {
    return settingsOf({ ...usual, [name]: '?' }) !== before;
  } catch (error) {
    if (error instanceof ConfigError) return error.variable === name || name.startsWith('TEMPORAL_');
    throw error;
  }
}

function longestDeliveryTimeoutMs(): number {
  try {
    loadConfig({ DELIVERY_TIMEOUT_MS: '999999999' }, emptyDirectory);
  } catch (error) {
    if (error instanceof ConfigError) return Number(/above (\d+)/.exec(error.message)?.[1]);
  }
  throw new Error('DELIVERY_TIMEOUT_MS has no upper bound');
}
