import { writeFileSync } from 'node:fs';
import { bundleWorkflowCode } from '@temporalio/worker';
import { BUNDLE_FILE, WORKFLOWS_ENTRY } from './workflow-source.ts';

const { code } = await bundleWorkflowCode({ workflowsPath: WORKFLOWS_ENTRY });
writeFileSync(BUNDLE_FILE, code);
