import { type RawBuilder, sql } from 'kysely';

/** Places of one batch. */
export interface BatchPlaces {
  batchId: string;
  places: number;
}

/** The places of several batches in a row, numbered from 1. */
export interface Seats {
  batchIds: string[];
  /** The first number of each batch. */
  firsts: number[];
  count: number;
}

export function seatsOf(batches: BatchPlaces[]): Seats {
  let count = 0;
  const firsts = batches.map(({ places }) => {
    const first = count + 1;
    count += places;
    return first;
  });
  return { batchIds: batches.map(({ batchId }) => batchId), firsts, count };
}

/** The batch's id, in SQL. */
export function batchOfSeat({ batchIds, firsts }: Seats, seat: RawBuilder<unknown>): RawBuilder<string> {
  return sql`(${batchIds}::uuid[])[width_bucket(${seat}, ${firsts}::int[])]`;
}
