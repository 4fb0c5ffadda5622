/** Tells the person who waits how far it is; results alone go to stdout. */
export function say(message: string): void {
  process.stderr.write(`${message}\n`);
}
