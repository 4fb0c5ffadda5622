import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Processes of the tests' own, and what of the tests they are made of: they start as quickly then. */
const TEST_PROGRAMS = [
  'job-client-program',
  'job-worker-program',
  'job-workers',
  'job-world',
  'runtime',
  'git-fetching-process',
].map((name) => join(ROOT, 'test/support', `${name}.ts`));

/**
 * Makes an installed package of today's sources, as `npm run build` does but without looking at the types, which
 * `npm test` has done before. Its processes start in a fraction of the time that those of a clone take, and load the
 * workflows' code where a clone bundles it anew.
 *
 * @param directory of the package; must not exist
 * @returns path of its `forgeflow`
 */
export function buildProgram(directory: string): string {
  const { fileNames, options } = buildSettings();
  const kysely = join(directory, 'dist/kysely.js');
  bundleKysely(kysely);
  const compilerOptions = { ...options, module: ts.ModuleKind.ESNext, sourceMap: false };
  for (const fileName of [...fileNames, ...TEST_PROGRAMS]) {
    const { outputText } = ts.transpileModule(readFileSync(fileName, 'utf8'), { fileName, compilerOptions });
    const file = join(directory, 'dist', relative(ROOT, fileName).replace(/\.ts$/, '.js'));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, outputText.replaceAll("from 'kysely'", `from ${JSON.stringify(pathToFileURL(kysely).href)}`));
  }
  for (const path of ['package.json', 'bin']) cpSync(join(ROOT, path), join(directory, path), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(directory, 'dist/package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  return join(directory, 'bin/forgeflow.js');
}

/** Where {@link buildProgram}'s worker looks for the workflows' bundle. */
export const BUNDLE_IN_PROGRAM = 'dist/workflow-bundle.js';

/** In one file: its hundreds take longer to load than all else that most of these processes do. */
function bundleKysely(outfile: string): void {
  const stdin = { contents: "export * from 'kysely'", resolveDir: ROOT };
  buildSync({ stdin, outfile, bundle: true, platform: 'node', format: 'esm' });
}

function buildSettings(): ts.ParsedCommandLine {
  const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: fail };
  return ts.getParsedCommandLineOfConfigFile(join(ROOT, 'tsconfig.build.json'), {}, host) ?? fail();
}

function fail(diagnostic?: ts.Diagnostic): never {
  throw new Error(`tsconfig.build.json: ${JSON.stringify(diagnostic?.messageText)}`);
}
