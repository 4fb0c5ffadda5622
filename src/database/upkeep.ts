import { sql } from 'kysely';
import type { Database } from './connection.ts';
import type { JobRequest } from './job-requests.ts';

export interface UpkeepQuestion {
  /** Users whose emails were not read since then are looked at. */
  emailsReadBefore: Date;
  /** Of so many users, those that were looked at longest ago, all permissions are read. */
  users: number;
}

/** The jobs about people that are due: of each tracked repository, and of users. */
export async function listUpkeep(db: Database, { emailsReadBefore, users }: UpkeepQuestion): Promise<JobRequest[]> {
  const { rows: repositories } = await sql<{ id: number }>`
    select id from repositories where tracked_at is not null order by id
  `.execute(db);
  const { rows: authors } = await sql<{ id: number }>`
    select id from users where emails_read_at is null or emails_read_at < ${emailsReadBefore} order by id
  `.execute(db);
  const { rows: members } = await sql<{ id: number }>`
    select id from users order by permissions_read_at nulls first, id limit ${users}
  `.execute(db);
  return [
    ...repositories.map(({ id }): JobRequest => ({
      kind: 'updateRepositoryPermissions',
      payload: { repositoryId: id },
    })),
    ...authors.map(({ id }): JobRequest => ({ kind: 'updateCommitsAuthor', payload: { userId: id } })),
    ...members.map(({ id }): JobRequest => ({ kind: 'updateUserPermissions', payload: { userId: id } })),
  ];
}
