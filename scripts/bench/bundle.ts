import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflowCode, type WorkflowBundlePath } from '@temporalio/worker';
import type { Logger } from '../../src/logging.ts';

/** Workflows bundled ahead into a file, as in production. */
export async function bundleWorkflows(
  workflowsPath: string,
  { folder, logger }: { folder: string; logger: Logger },
): Promise<WorkflowBundlePath> {
  const codePath = join(folder, 'workflow-bundle.js');
  writeFileSync(codePath, (await bundleWorkflowCode({ workflowsPath, logger })).code);
  return { codePath };
}
