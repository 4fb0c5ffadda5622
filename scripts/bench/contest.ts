/** Something whose rate is measured beside others. */
export interface Contender {
  name: string;
  /** How many times the others' amount it is given a round: a fast one needs more for a round to be long enough. */
  scale: number;
  /** Does this many pieces of work, from handing in the first to the end of the last. */
  run(amount: number): Promise<void>;
  /** After that, outside of the time: waits for what is still to end, and looks whether all is as it should be. @throws Error */
  check?(): Promise<void>;
}

export interface Rounds {
  warmUp: number;
  rounds: number;
  /** Pieces of work a round. */
  amount: number;
  /** No round is begun that would probably not end by then; the first one always is. */
  budgetMs: number;
}

/**
 * Lets contenders take turns (A B C, A B C, …), so that whatever else the machine does meanwhile hits all alike.
 * @returns the rates by name, in 1/s, one for each round
 */
export async function contest(
  contenders: Contender[],
  { warmUp, rounds, amount, budgetMs }: Rounds,
  { say, signal }: { say: (message: string) => void; signal: AbortSignal },
): Promise<Map<string, number[]>> {
  const rates = new Map(contenders.map(({ name }) => [name, [] as number[]]));
  const begun = performance.now();
  say('warming up');
  for (const contender of contenders) {
    await contender.run(warmUp * contender.scale);
    await contender.check?.();
  }
  let roundMs = 0;
  for (let round = 1; round <= rounds && (round === 1 || performance.now() - begun + roundMs < budgetMs); round += 1) {
    const roundBegun = performance.now();
    const line: string[] = [];
    for (const contender of contenders) {
      const { name, scale } = contender;
      signal.throwIfAborted();
      const startedAt = performance.now();
      await contender.run(amount * scale);
      const rate = (1000 * amount * scale) / (performance.now() - startedAt);
      await contender.check?.();
      rates.get(name)?.push(rate);
      line.push(`${name} ${rate.toFixed(1)}/s`);
    }
    roundMs = performance.now() - roundBegun;
    say(`round ${round} of ${rounds}: ${line.join(', ')}`);
  }
  return rates;
}
