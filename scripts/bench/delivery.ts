import { Cleanup, withCleanup } from './cleanup.ts';
import { say } from './console.ts';
import { contest } from './contest.ts';
import { measureLatency } from './delivery-latency.ts';
import { EGRESS_CONCURRENCY, setDeliveryStage } from './delivery-stage.ts';
import { bareEngine } from './engine.ts';
import { expressLane } from './express-lane.ts';
import { graphileWorker, graphileWorkerWithRecords, PEER_SCALE } from './graphile-worker-peer.ts';
import { httpAttempts, httpJobs, PAYLOAD, TOPIC } from './http-job.ts';
import { newDatabase } from './new-database.ts';
import { pgBoss } from './pg-boss-peer.ts';
import type { Variant } from './relay.ts';
import type { BenchOptions, Report } from './report.ts';
import { median, ratios } from './statistics.ts';
import { workflowLane } from './workflow-lane.ts';

/** Workflows started at once. */
const STARTS_AT_ONCE = 20;
/** Events published and jobs handed in at once. */
const AT_ONCE = 100;
/** Of the express lane's rate, the load under which latency is measured. */
const LIGHT_LOAD = 0.1;

const PRODUCT: Variant = { name: 'forgeflow workflow lane' };
const VARIANTS: Variant[] = [
  { name: 'variant: no eager start', lazyStart: true },
  { name: 'variant: local activity, no eager start', workflowType: 'deliverByLocalActivity', lazyStart: true },
  { name: 'variant: local activity', workflowType: 'deliverByLocalActivity' },
];
const EXPRESS_TOPIC = 'bench.express';

interface Size {
  warmUp: number;
  rounds: number;
  amount: number;
  budgetMs: number;
  latency: { forMs: number; rounds: number };
}

const FULL: Size = { warmUp: 120, rounds: 9, amount: 120, budgetMs: Infinity, latency: { forMs: 15_000, rounds: 4 } };
// Of the minute, some seconds go into starting and stopping.
const QUICK: Size = { warmUp: 10, rounds: 3, amount: 30, budgetMs: 22_000, latency: { forMs: 4_000, rounds: 1 } };

export async function benchDelivery({ quick }: BenchOptions): Promise<Report> {
  const size = quick ? QUICK : FULL;
  return withCleanup(async (cleanup, signal) => {
    const stage = await setDeliveryStage(PRODUCT, cleanup);
    await stage.subscribe(TOPIC, 'workflow');
    await stage.subscribe(EXPRESS_TOPIC, 'express');
    const { engine } = stage;
    const peer = {
      databaseUrl: stage.databaseUrl,
      work: httpJobs(stage.sender, stage.url),
      attempt: httpAttempts(stage.sender, stage.url),
      enqueuesAtOnce: AT_ONCE,
      concurrency: EGRESS_CONCURRENCY,
      logger: stage.logger,
    };
    const lane = (variant: Variant) => workflowLane(variant, { ...stage, publishesAtOnce: AT_ONCE });
    const engineLimit = bareEngine(engine, { startsAtOnce: STARTS_AT_ONCE });
    const eagerEngine = bareEngine(engine, { startsAtOnce: STARTS_AT_ONCE, eager: true });
    const [product, ...variants] = [lane(PRODUCT), ...VARIANTS.map(lane)];
    const express = expressLane(stage, { topic: EXPRESS_TOPIC, publishesAtOnce: AT_ONCE });
    const ofRecords = await newDatabase(stage.databaseUrl, 'records'); // two of them in one would share their jobs
    const peers = new Cleanup();
    cleanup.add(() => peers.run());
    const graphile = await graphileWorker(peer, peers);
    const recording = await graphileWorkerWithRecords({ ...peer, databaseUrl: ofRecords }, peers);
    const boss = await pgBoss(peer, peers);
    const contenders = [engineLimit, product, express, graphile, recording, eagerEngine, ...variants, boss];
    const rates = await contest(contenders, size, { say, signal });
    await recording.checkAllRecorded();
    const of = (name: string): number[] => rates.get(name) ?? [];
    const lanes = [product, ...variants];
    const historyEvents = await Promise.all(lanes.map((one) => one.historyEvents()));
    await peers.run(); // their connections are needed
    stage.starts.variant = PRODUCT;
    const latencies = await measureLatency(stage, {
      ...size.latency,
      rate: LIGHT_LOAD * median(of(express.name)),
      concurrency: EGRESS_CONCURRENCY,
      signal,
    });
    const toEngine = ratios(of(product.name), of(engineLimit.name));
    const toLane = ratios(of(express.name), of(product.name));
    const toPeer = ratios(of(express.name), of(graphile.name));
    const toRecording = ratios(of(express.name), of(recording.name));
    const [p99, p99OfPeer, p99OfRecording] = latencies.map((latency) => latency.p99);
    const p99ToPeer = ratios(p99 ?? [], p99OfPeer ?? []);
    const p99ToRecording = ratios(p99 ?? [], p99OfRecording ?? []);
    return {
      bench: 'delivery',
      rows: [
        ...[...rates].map(([what, rounds]) => ({ what, value: median(rounds), unit: '1/s', rounds })),
        { what: 'workflow lane / engine, round by round', value: median(toEngine), unit: 'ratio', rounds: toEngine },
        { what: 'express lane / workflow lane', value: median(toLane), unit: 'ratio', rounds: toLane },
        { what: 'express lane / graphile-worker', value: median(toPeer), unit: 'ratio', rounds: toPeer },
        { what: `express lane / ${recording.name}`, value: median(toRecording), unit: 'ratio', rounds: toRecording },
        ...lanes.map(({ name }, i) => ({ what: `history, ${name}`, value: historyEvents[i] ?? 0, unit: 'events' })),
        ...latencies.flatMap(({ name, p50, p99 }) => [
          { what: `p50 under light load, ${name}`, value: median(p50), unit: 'ms', rounds: p50 },
          { what: `p99 under light load, ${name}`, value: median(p99), unit: 'ms', rounds: p99 },
        ]),
      ],
      ratios: {
        workflowLaneToEngine: median(toEngine),
        expressToWorkflowLane: median(toLane),
        expressToGraphileWorker: median(toPeer),
        expressToGraphileWorkerWithRecords: median(toRecording),
        expressP99ToGraphileWorker: median(p99ToPeer),
        expressP99ToGraphileWorkerWithRecords: median(p99ToRecording),
        historyEventsImmediate: historyEvents[0] ?? 0,
      },
      notes: notes({ rounds: toEngine.length, amount: size.amount, expressScale: express.scale }),
    };
  });
}

function notes(size: { rounds: number; amount: number; expressScale: number }): string[] {
  const { rounds, amount, expressScale } = size;
  return [
    `values are medians of ${rounds} rounds in which all took turns; ratios are medians of the rounds' own`,
    `a round: ${amount} workflows or deliveries, ${amount * expressScale} in the express lane, ${amount * PEER_SCALE} jobs of a peer`,
    `${AT_ONCE} events or jobs are handed in at once, each by itself, ${STARTS_AT_ONCE} workflows; ${EGRESS_CONCURRENCY} requests in flight`,
    'timed from the first handed in until all requests have come, all is written down, and all jobs or workflows have ended, but for the few workflows of the express lane’s batches',
    'forgeflow: events are published to the outbox; the relay of the workers makes deliveries of them and starts workflows',
    'light load: a tenth of the express lane’s rate, evenly; from publishing to the request',
    'one process has clients and workers of all; the servers and the receiver have their own; all share the cores of this machine',
    `requests: ${Buffer.byteLength(PAYLOAD)} B body, signed, by the same sender, answered 204 at once`,
    'records of each delivery and each attempt: kept by forgeflow and by “graphile-worker, with records”; none by graphile-worker alone and by pg-boss',
    '“graphile-worker, with records”: one prepared statement for the delivery and its job, one for the attempt and what came of it',
    'Postgres with its default settings (it syncs to disk), but for 200 connections; Temporal dev server on a file (SQLite, WAL)',
  ];
}
