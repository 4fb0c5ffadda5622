import { dirname, join } from 'node:path';

/** One of the programs that `buildProgram` makes beside `forgeflow`, by its name without an ending. */
export function testProgram(name: string): string {
  const { FORGEFLOW_PROGRAM: forgeflow = '' } = process.env;
  return join(dirname(forgeflow), '../dist/test/support', `${name}.js`);
}
