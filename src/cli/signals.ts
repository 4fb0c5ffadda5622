/**
 * Resolves when the process is asked to end, by Ctrl-C or SIGTERM. What is
 * under way then goes through to its end, however often it is asked.
 */
export async function untilAskedToStop(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      // Not `once`: programs that are run with execa meanwhile would find no listener and end the process.
      process.on(signal, () => {
        resolve();
      });
    }
  });
}
