import type { TestProject } from 'vitest/node';
import { startSharedServices } from './services.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A Postgres that holds a migrated, empty database to be cloned. */
    databaseServerUrl: string;
    /** Path of the Temporal CLI. */
    temporalCli: string;
    /** Path of today's workflow bundle. */
    workflowBundle: string;
  }
}

/** Starts what all test files share. @returns what takes it down again */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const services = await startSharedServices();
  project.provide('databaseServerUrl', services.databaseServerUrl);
  project.provide('temporalCli', services.temporalCli);
  project.provide('workflowBundle', services.workflowBundle);
  process.env['FORGEFLOW_PROGRAM'] = services.program; // the tests' processes inherit it, and scripts/chaos runs it
  return () => services.stop();
}
