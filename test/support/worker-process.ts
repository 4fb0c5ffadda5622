import { FORGEFLOW, spawnWorker, type WorkerProcess } from '../../scripts/chaos/worker-process.ts';

export { FORGEFLOW, spawnWorker, type WorkerProcess };

/** Runs `forgeflow worker` in a process of its own, and waits until it is at work. */
export async function startWorkerProcess(variables: Record<string, string>): Promise<WorkerProcess> {
  const worker = spawnWorker(variables);
  if (!(await worker.atWork)) {
    throw new Error(`the worker ended while it started (${await worker.ended}): ${worker.log()}`);
  }
  return worker;
}
