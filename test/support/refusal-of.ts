import { Refusal } from '../../src/domain/refusal.ts';

/** The Refusal that the call throws. */
export function refusalOf(call: () => unknown): Refusal {
  try {
    call();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('it was not refused');
}
