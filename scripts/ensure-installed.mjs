// Runs before the README's commands, so that each of them works in a fresh clone. Plain JavaScript: nothing is installed yet.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`forgeflow needs Node 20.19 or newer; this is ${process.versions.node}.`);
  process.exit(1);
}
// npm writes this file last, so a broken-off installation is not taken for a whole one.
if (!existsSync(new URL('../node_modules/.package-lock.json', import.meta.url))) {
  console.error('Installing dependencies (npm ci) …');
  // Its output goes to stderr: stdout belongs to the command that follows.
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (status !== 0) process.exit(status ?? 1);
}
