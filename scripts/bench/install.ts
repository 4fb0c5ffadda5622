import { Client, Connection } from '@temporalio/client';
import { createLogger } from '../../src/logging.ts';
import { WORKFLOWS_ENTRY } from '../../src/temporal/workflow-source.ts';
import { bundleWorkflows } from './bundle.ts';
import { type Cleanup, withCleanup } from './cleanup.ts';
import { say } from './console.ts';
import type { GitlabSize } from './install-gitlab.ts';
import { installReport, type InstallTrial } from './install-report.ts';
import { bareLoop, forgeflow, type Installer, takeTurn } from './install-turns.ts';
import type { BenchOptions, Report } from './report.ts';
import { prepareGround, startTemporal } from './stage.ts';

export async function benchInstall({ quick }: BenchOptions): Promise<Report> {
  // A real GitLab takes 50 to 200 ms for an answer, in which our own share is smaller still; but nobody waits that long.
  const size = quick
    ? { repositories: 700, warmUp: 100, latencyMs: 20 }
    : { repositories: 10_000, warmUp: 200, latencyMs: 20 };
  return withCleanup(async (cleanup, signal) => {
    const { installers, largestHistory } = await prepare(cleanup);
    const context = { installers, cleanup, signal };
    const trial = await compare(size, 1, context);
    const atOnce = quick ? null : await compare({ ...size, repositories: 2_000, latencyMs: 0 }, 3, context);
    return installReport({ trial, atOnce, largestHistory: await largestHistory() });
  });
}

interface Context {
  installers: { ours: Installer; bare: Installer };
  cleanup: Cleanup;
  signal: AbortSignal;
}

/** A B, B A, …: what changes slowly on the machine favours neither. */
async function compare(size: GitlabSize, rounds: number, { installers, cleanup, signal }: Context) {
  const trial: InstallTrial = { size, ours: [], bare: [] };
  const names = { bare: 'bare loop', ours: 'forgeflow' };
  for (let round = 1; round <= rounds; round += 1) {
    for (const whose of round % 2 === 1 ? (['bare', 'ours'] as const) : (['ours', 'bare'] as const)) {
      signal.throwIfAborted();
      say(`round ${round} of ${rounds}, GitLab answers after ${size.latencyMs} ms: ${names[whose]}`);
      const turn = await takeTurn(installers[whose], size, cleanup);
      trial[whose].push(turn);
      say(`  fresh ${(turn.fresh.ms / 1_000).toFixed(1)} s, verifying ${(turn.verify.ms / 1_000).toFixed(1)} s`);
    }
  }
  return trial;
}

async function prepare(cleanup: Cleanup) {
  say('starting Postgres and Temporal, bundling workflows');
  const ground = await prepareGround(cleanup);
  const { home } = ground;
  const { address } = await startTemporal({ home, say }, cleanup);
  const { codePath } = await bundleWorkflows(WORKFLOWS_ENTRY, { folder: home, logger: createLogger('warn') });
  const connection = await Connection.connect({ address });
  cleanup.add(() => connection.close());
  return {
    installers: {
      ours: forgeflow({ ground, temporalAddress: address, workflowBundle: codePath }, cleanup),
      bare: bareLoop(cleanup),
    },
    largestHistory: () => largestHistory(new Client({ connection })),
  };
}

/** In events, of all runs of the installer, each of those that continued as new too. */
async function largestHistory({ workflow }: Client): Promise<number> {
  let largest = 0;
  for await (const { workflowId, runId } of workflow.list({ query: 'WorkflowType = "installGitLabWebhooks"' })) {
    const { events } = await workflow.getHandle(workflowId, runId).fetchHistory();
    largest = Math.max(largest, events?.length ?? 0);
  }
  if (largest === 0) throw new Error('Temporal shows no run of the installer');
  return largest;
}
