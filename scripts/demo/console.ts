import pc from 'picocolors';

// What the show prints, and which of its claims came true.

const claims: { text: string; cameTrue: boolean }[] = [];
let chapters = 0;
let curtainIsDown = false;

export function say(text = ''): void {
  if (!curtainIsDown) console.log(text);
}

export function chapter(title: string): void {
  say(`\n${pc.bold(pc.cyan(`${++chapters}. ${title}`))}`);
}

export function claim(text: string, cameTrue: boolean): void {
  if (curtainIsDown) return; // what is broken off proves nothing
  claims.push({ text, cameTrue });
  say(`  ${cameTrue ? pc.green('✓') : pc.red('✗')} ${text}`);
}

/** Names and values under each other. */
export function list(pairs: [string, string][]): void {
  const width = Math.max(...pairs.map(([name]) => name.length));
  for (const [name, value] of pairs) say(`  ${name.padEnd(width)}  ${value}`);
}

/** A text of several lines as it is, only further in. */
export function quote(text: string): void {
  for (const line of text.split('\n')) say(line === '' ? '' : `    ${line}`);
}

export function score(): { kept: number; made: number } {
  return { kept: claims.filter(({ cameTrue }) => cameTrue).length, made: claims.length };
}

/** Says a last word; whatever of the show goes on for a moment is heard no more. */
export function lowerCurtain(lastWord: string): void {
  say(`\n${pc.dim(lastWord)}`);
  curtainIsDown = true;
}
