import { type Command, Option } from 'commander';
import pc from 'picocolors';
import type { Attempt, Delivery, DeliveryWithAttempts } from '../client/deliveries.ts';
import { DELIVERY_STATES, type DeliveryState } from '../domain/delivery.ts';
import { invalid } from '../domain/refusal.ts';
import { addCommand, type CommonOptions, withClient } from './command.ts';
import { fields, print, state, table, time } from './output.ts';

interface Filter extends CommonOptions {
  subscription?: string;
  state?: DeliveryState;
  topic?: string;
  limit: string;
}

interface Redelivery extends CommonOptions {
  reset: boolean;
  subscription?: string;
  since?: string;
}

export function addDeliveryCommands(program: Command): void {
  const noun = program.command('deliveries').description('events on their way to subscriptions');

  addCommand(noun, 'list', 'deliveries, newest first')
    .option('--subscription <name>', 'only those to it')
    .addOption(new Option('--state <state>', 'only those in this state').choices(DELIVERY_STATES))
    .option('--topic <topic>', 'only those of this topic')
    .option('--limit <number>', 'how many at most', '50')
    .action(async ({ subscription, state: of, topic, limit, json }: Filter) => {
      const filter = { subscription, state: of, topic, limit: Number(limit) };
      print(await withClient((client) => client.deliveries.list(filter)), { json }, renderList);
    });

  addCommand(noun, 'show <id>', 'one delivery with its attempts').action(async (id: string, options: CommonOptions) => {
    print(await withClient((client) => client.deliveries.show(id)), options, renderWithAttempts);
  });

  addCommand(noun, 'retry <id>', 'make a pending delivery try now').action(
    async (id: string, options: CommonOptions) => {
      print(await withClient((client) => client.deliveries.retry(id)), options, renderOne);
    },
  );

  addCommand(noun, 'redeliver [id]', 'queue a finished delivery again, or all unsuccessful ones of a subscription')
    .option('--no-reset', 'do not start the 24 h of retries anew')
    .option('--subscription <name>', 'those to it that failed or were cancelled (with --since)')
    .option('--since <time>', 'created since then, ISO 8601 as in 2026-11-24T18:00:00Z')
    .action(async (id: string | undefined, options: Redelivery) => {
      if (id === undefined) await redeliverMany(options);
      else if (options.subscription !== undefined)
        throw invalid('redeliver', 'give either an id, or --subscription and --since');
      else
        print(
          await withClient((client) => client.deliveries.redeliver(id, { reset: options.reset })),
          options,
          renderOne,
        );
    });

  addCommand(noun, 'cancel <id>', 'end a pending delivery').action(async (id: string, options: CommonOptions) => {
    print(await withClient((client) => client.deliveries.cancel(id)), options, renderOne);
  });
}

async function redeliverMany({ subscription, since, reset, json }: Redelivery): Promise<void> {
  if (subscription === undefined || since === undefined) {
    throw invalid('redeliver', 'give an id, or --subscription and --since');
  }
  const from = new Date(since);
  if (Number.isNaN(from.getTime())) throw invalid('since', `"${since}" is not a time such as 2026-11-24T18:00:00Z`);
  const result = await withClient((client) => client.deliveries.redeliverSince(subscription, from, { reset }));
  print(
    result,
    { json },
    ({ redelivered }) =>
      `Queued ${redelivered} ${redelivered === 1 ? 'delivery' : 'deliveries'} again; "status" shows how many still wait.`,
  );
}

function renderList(deliveries: Delivery[]): string {
  return table(
    ['ID', 'STATE', 'TOPIC', 'SUBSCRIPTION', 'ATTEMPTS', 'CREATED', 'NEXT ATTEMPT', 'FAILURE'],
    deliveries.map((delivery) => [
      delivery.id,
      state(delivery.state),
      delivery.topic,
      delivery.subscription,
      String(delivery.attemptCount),
      time(delivery.dateCreated),
      time(delivery.nextAttemptAt),
      delivery.failureDetail ?? '',
    ]),
    'No deliveries.',
  );
}

function renderOne(delivery: Delivery): string {
  return fields([
    ['id', delivery.id],
    ['state', state(delivery.state)],
    ['topic', delivery.topic],
    ['subscription', delivery.subscription],
    ['event', delivery.eventId],
    ['attempts', String(delivery.attemptCount)],
    ['failure', delivery.failureDetail ?? pc.dim('–')],
    ['created', time(delivery.dateCreated)],
    ['first attempt', time(delivery.dateFirstSent)],
    ['last attempt', time(delivery.dateSent)],
    ['next attempt', time(delivery.nextAttemptAt)],
  ]);
}

function renderWithAttempts(delivery: DeliveryWithAttempts): string {
  const attempts = table(
    ['#', 'SENT', 'TOOK', 'OUTCOME', 'ANSWER'],
    delivery.attempts.map((attempt) => [
      String(attempt.number),
      time(attempt.sentAt),
      `${attempt.durationMs} ms`,
      outcome(attempt),
      excerpt(attempt),
    ]),
    'No attempts yet.',
  );
  return [renderOne(delivery), `${pc.dim('payload')}\n${JSON.stringify(delivery.payload, null, 2)}`, attempts].join(
    '\n\n',
  );
}

function outcome({ statusCode, connectionError }: Attempt): string {
  if (statusCode === null) return pc.red(connectionError ?? '');
  const text = `HTTP ${statusCode}`;
  return statusCode >= 200 && statusCode <= 299 ? pc.green(text) : pc.red(text);
}

/** One line of the answer's body; control characters of a receiver have no business on a terminal. */
function excerpt({ responseBody, truncated }: Attempt): string {
  const line = (responseBody ?? '').replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
  return line.length > 60 || truncated ? `${line.slice(0, 60)}…` : line;
}
