/** Resolves when the process is asked to end, by Ctrl-C or SIGTERM. Asked again, it ends at once. */
export async function untilAskedToStop(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        resolve();
      });
    }
  });
}
