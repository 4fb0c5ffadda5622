import { fileURLToPath } from 'node:url';
import { DeterminismViolationError } from '@temporalio/workflow';
import { bundleWorkflowCode, type ReplayWorkerOptions, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { ensureRuntime } from './support/runtime.ts';
import { SAVED_HISTORIES, savedHistory } from './support/saved-history.ts';

beforeAll(ensureRuntime);

/** @returns what went wrong, by history */
async function replay(options: ReplayWorkerOptions, names: string[]): Promise<Map<string, Error | undefined>> {
  const histories = names.map((name) => ({ workflowId: name, history: savedHistory(name) }));
  const results = new Map<string, Error | undefined>();
  for await (const { workflowId, error } of Worker.runReplayHistories(options, histories)) {
    results.set(workflowId, error);
  }
  return results;
}

describe('saved histories (npm run record-histories)', () => {
  test('replay on the workflows of today', async () => {
    const results = await replay({ workflowBundle: { codePath: inject('workflowBundle') } }, SAVED_HISTORIES);
    expect(SAVED_HISTORIES.length).toBeGreaterThanOrEqual(8);
    expect(results).toEqual(new Map(SAVED_HISTORIES.map((name) => [name, undefined])));
  });

  test('do not replay on a broken twin', async () => {
    const workflowsPath = fileURLToPath(new URL('support/broken-workflows.ts', import.meta.url));
    const silent = () => undefined;
    const logger = { log: silent, trace: silent, debug: silent, info: silent, warn: silent, error: silent };
    const workflowBundle = await bundleWorkflowCode({ workflowsPath, logger });
    const broken = SAVED_HISTORIES.filter((name) => /^(deliver|job)-/.test(name));
    const results = await replay({ workflowBundle }, broken);
    for (const name of broken) expect(results.get(name), name).toBeInstanceOf(DeterminismViolationError);
  });
});
