// The README's test command: types, lint and formatting beside the tests, which leave the processor idle now and then.
import './ensure-installed.mjs';
import { spawn } from 'node:child_process';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';

const cwd = fileURLToPath(new URL('..', import.meta.url));
const program = (name) => fileURLToPath(new URL(`../node_modules/.bin/${name}`, import.meta.url));
const LOW_PRIORITY = 10;

/** @returns its exit code, and what it printed where that does not go to the terminal */
function run(command, args, { inTheBackground = false } = {}) {
  const child = spawn(command, args, { cwd, stdio: inTheBackground ? ['ignore', 'pipe', 'pipe'] : 'inherit' });
  if (inTheBackground) setPriority(child.pid, LOW_PRIORITY);
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (printed += chunk));
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ status: 1, printed: String(error) }));
    child.on('close', (code) => resolve({ status: code ?? 1, printed }));
  });
}

async function check() {
  const { status, printed } = await run('npm', ['run', '--silent', 'check'], { inTheBackground: true });
  if (status !== 0) console.error(`${printed}\nnpm run check: types, lint or formatting are wrong, see above`);
  return status;
}

const [checked, { status: tested }] = await Promise.all([
  check(),
  run(program('vitest'), ['run', ...process.argv.slice(2)]),
]);
process.exitCode = checked || tested;
