import { createCheckHost } from '../../src/checks/check-host.ts';
import type { Confinement } from '../../src/checks/launch.ts';
import { runCheck } from '../../src/checks/run-check.ts';

/** Runs one check as a worker would, until it is killed: `node … ROOT CONFINEMENT COMMAND`. */
const [root = '', confinement, command = ''] = process.argv.slice(2);
const host = await createCheckHost({ root, confinement: confinement as Confinement });
await runCheck(host, { command, checkOut: () => Promise.resolve() });
