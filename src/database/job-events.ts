import { PLACE_EVENTS } from '../domain/place-triggers.ts';
import type { Database } from './connection.ts';

/** What GitLab tells of that can make a job necessary. */
export const JOB_TOPICS: readonly string[] = [
  'gitlab.push',
  'gitlab.merge_request',
  'gitlab.note',
  'gitlab.pipeline',
  'gitlab.build',
  ...PLACE_EVENTS.map((name) => `gitlab.${name}`),
];

export interface JobEvent {
  id: string;
  /** JSON text. */
  payload: string;
}

/** The oldest event that nobody has read for what it means to jobs, or is about to: it is this transaction's. */
export async function takeJobEvent(db: Database): Promise<JobEvent | undefined> {
  const taken = await db
    .selectFrom('job_events')
    .select('event_id')
    .orderBy('event_id') // ids begin with their time
    .limit(1)
    .forUpdate()
    .skipLocked()
    .executeTakeFirst();
  if (taken === undefined) return undefined;
  return db.selectFrom('events').select(['id', 'payload']).where('id', '=', taken.event_id).executeTakeFirst();
}

export async function removeJobEvent(db: Database, id: string): Promise<void> {
  await db.deleteFrom('job_events').where('event_id', '=', id).execute();
}
