import type { Command } from 'commander';
import pc from 'picocolors';
import type { Subscription, SubscriptionWithSecret } from '../client/subscriptions.ts';
import type { Lane } from '../domain/lane.ts';
import { invalid } from '../domain/refusal.ts';
import { addCommand, collect, type CommonOptions, withClient } from './command.ts';
import { fields, print, state, table, time } from './output.ts';

interface Details extends CommonOptions {
  url?: string;
  pattern?: string[];
  header?: string[] | false;
  lane?: Lane;
  secret?: string;
}

const LANE_HELP =
  'workflow: each delivery a workflow from the first attempt on; express: first attempts in batches; auto: express under load';

export function addSubscriptionCommands(program: Command): void {
  const noun = program.command('subscriptions').description('who wants which events at which URL');

  addCommand(noun, 'add', 'subscribe a receiver; shows its secret, once')
    .requiredOption('--name <name>', 'its name, unique and for good')
    .requiredOption('--url <url>', 'where its webhooks go')
    .requiredOption(
      '--pattern <pattern>',
      'topics it wants: * is one token, a final > one or more (repeatable)',
      collect,
    )
    .option('--secret <secret>', 'whsec_ and the base64 of 24 to 64 bytes; made up when left out')
    .option('--header <header>', "a header its requests carry, 'Name: value' (repeatable)", collect)
    .option('--lane <lane>', `${LANE_HELP}; workflow when left out`)
    .action(async (options: Required<Pick<Details, 'url' | 'pattern'>> & Details & { name: string }) => {
      const { name, url, pattern, secret, header, lane } = options;
      const input = { name, url, patterns: pattern, secret, headers: headersOf(header), lane };
      print(await withClient((client) => client.subscriptions.add(input)), options, renderSecret);
    });

  addCommand(noun, 'list', 'all subscriptions').action(async (options: CommonOptions) => {
    print(await withClient((client) => client.subscriptions.list()), options, renderList);
  });

  addCommand(noun, 'show <name>', 'one subscription').action(async (name: string, options: CommonOptions) => {
    print(await withClient((client) => client.subscriptions.show(name)), options, renderOne);
  });

  addCommand(noun, 'update <name>', 'change its URL, patterns, headers or lane')
    .option('--url <url>', 'where its webhooks go')
    .option('--pattern <pattern>', 'the topics it wants, instead of those it has (repeatable)', collect)
    .option('--header <header>', "the headers it adds, instead of those it has, 'Name: value' (repeatable)", collect)
    .option('--no-header', 'add no headers any more')
    .option('--lane <lane>', LANE_HELP)
    .action(async (name: string, options: Details) => {
      const { url, pattern, header, lane } = options;
      const change = { url, patterns: pattern, headers: headersOf(header), lane };
      print(await withClient((client) => client.subscriptions.update(name, change)), options, renderOne);
    });

  addCommand(noun, 'pause <name>', 'send it nothing more; its pending deliveries end').action(
    async (name: string, options: CommonOptions) => {
      print(await withClient((client) => client.subscriptions.pause(name)), options, renderOne);
    },
  );

  addCommand(noun, 'enable <name>', 'send to it again; clears its errors').action(
    async (name: string, options: CommonOptions) => {
      print(await withClient((client) => client.subscriptions.enable(name)), options, renderOne);
    },
  );

  addCommand(noun, 'delete <name>', 'remove it, with its deliveries and their log').action(
    async (name: string, options: CommonOptions) => {
      await withClient((client) => client.subscriptions.delete(name));
      print({ name, deleted: true }, options, () => `Deleted subscription ${name} and its deliveries.`);
    },
  );

  addCommand(noun, 'rotate-secret <name>', 'give it a new secret, shown once; the old one signs too for 24 h')
    .option('--secret <secret>', 'whsec_ and the base64 of 24 to 64 bytes; made up when left out')
    .action(async (name: string, options: Details) => {
      print(
        await withClient((client) => client.subscriptions.rotateSecret(name, options.secret)),
        options,
        renderSecret,
      );
    });

  addCommand(noun, 'test <name>', 'send one request of topic test.ping now, of which nothing is kept').action(
    async (name: string, options: CommonOptions) => {
      const result = await withClient((client) => client.subscriptions.test(name));
      print(result, options, ({ outcome, successful }) => {
        const answer =
          outcome.statusCode === null ? `no answer: ${outcome.connectionError ?? ''}` : `HTTP ${outcome.statusCode}`;
        return `${successful ? pc.green('✓') : pc.red('✗')} ${answer} after ${outcome.durationMs} ms`;
      });
      if (!result.successful) process.exitCode = 1;
    },
  );

  addCommand(noun, 'ping <name>', 'start a delivery of topic ping, whatever its patterns').action(
    async (name: string, options: CommonOptions) => {
      const ping = await withClient((client) => client.subscriptions.ping(name));
      print(
        ping,
        options,
        ({ deliveryId }) => `Delivery ${deliveryId} is on its way; "deliveries show" tells how it goes.`,
      );
    },
  );
}

/** @throws Refusal that does not repeat the value */
function headersOf(header: string[] | boolean | undefined): Record<string, string> | undefined {
  if (header === false) return {};
  if (!Array.isArray(header)) return undefined;
  return Object.fromEntries(
    header.map((line) => {
      const colon = line.indexOf(':');
      if (colon < 1) throw invalid('header', "it is written 'Name: value'");
      return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
    }),
  );
}

function renderSecret(subscription: SubscriptionWithSecret): string {
  return [
    fields([
      ['name', subscription.name],
      ['id', subscription.id],
      ['url', subscription.url],
      ['patterns', subscription.patterns.join(' ')],
      ['lane', subscription.lane],
      ['state', state(subscription.state)],
      ['secret', pc.bold(subscription.secret)],
    ]),
    '',
    'Give the secret to the receiver now: it is not shown again.',
  ].join('\n');
}

function renderOne(subscription: Subscription): string {
  return fields([
    ['name', subscription.name],
    ['id', subscription.id],
    ['url', subscription.url],
    ['patterns', subscription.patterns.join(' ')],
    ['lane', subscription.lane],
    ['state', state(subscription.state)],
    ['failures in a row', String(subscription.consecutiveFailures)],
    ['last success', time(subscription.lastSuccessAt)],
    ['last failure', time(subscription.lastFailureAt)],
    ['last error', subscription.lastError ?? pc.dim('–')],
    ...(subscription.trippedAt === null ? [] : [['tripped', time(subscription.trippedAt)] as [string, string]]),
  ]);
}

function renderList(subscriptions: Subscription[]): string {
  return table(
    ['NAME', 'STATE', 'LANE', 'PATTERNS', 'URL', 'FAILURES', 'LAST SUCCESS'],
    subscriptions.map(({ name, state: of, lane, patterns, url, consecutiveFailures, lastSuccessAt }) => [
      name,
      state(of),
      lane,
      patterns.join(' '),
      url,
      String(consecutiveFailures),
      time(lastSuccessAt),
    ]),
    'No subscriptions yet; "forgeflow subscriptions add" makes one.',
  );
}
