import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** What `npm run build` leaves beside the compiled sources. */
export const BUNDLE_FILE = here('../../workflow-bundle.js');
export const WORKFLOWS_ENTRY = here(`../../workflows/index.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`);

/** The workflows' code for a worker: built ahead in production, bundled at start (some seconds) from sources. */
export function workflowSource(): { workflowBundle: { codePath: string } } | { workflowsPath: string } {
  return existsSync(BUNDLE_FILE) ? { workflowBundle: { codePath: BUNDLE_FILE } } : { workflowsPath: WORKFLOWS_ENTRY };
}
