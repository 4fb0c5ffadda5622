/** Something took longer than its caller can wait. It may still come to an end, unseen. */
export class Late extends Error {
  override readonly name = 'Late';
}

/**
 * Waits for a piece of work for so long and no longer.
 * @param work told by `isLate` that nobody waits any more, to be asked before it does what cannot be taken back
 * @throws Late
 */
export async function within<T>(ms: number, work: (isLate: () => boolean) => Promise<T>): Promise<T> {
  let late = false;
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late = true;
      reject(new Late(`no answer within ${ms} ms`));
    }, ms);
  });
  try {
    return await Promise.race([work(() => late), over]);
  } finally {
    clearTimeout(timer);
  }
}
