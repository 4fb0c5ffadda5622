/** Does a piece of work so many times, some at once, with next to nothing of its own: a few µs a piece would be seen in the rates. */
export async function timesAtOnce(times: number, atOnce: number, work: () => Promise<unknown>): Promise<void> {
  let left = times;
  const line = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await work();
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, times) }, line));
}
