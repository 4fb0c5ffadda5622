// Runs one of our programs in a fresh clone, in this very process: a shell or a child between npm and the program
// would keep signals from it.
import './ensure-installed.mjs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [node, , program, ...args] = process.argv;
process.argv = [node, resolve(program), ...args];
if (program.endsWith('.ts')) (await import('tsx/esm/api')).register();
await import(pathToFileURL(resolve(program)).href);
