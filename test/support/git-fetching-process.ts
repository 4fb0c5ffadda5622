// Run as a process of its own, with the arguments <storage> <url> <times>; see test-program.ts.
import { Clones } from '../../src/git/clones.ts';
import { createGit } from '../../src/git/git.ts';

const [storage = '', url = '', times = '1'] = process.argv.slice(2);
const clones = new Clones(await createGit(), storage);
for (let time = 0; time < Number(times); time += 1) await clones.fetch(1, { url, allowHttp: true });
process.stdout.write('done');
