import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { sql } from 'kysely';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { type JobWorkersOptions, subjectOf } from './job-workers.ts';

/**
 * What jobs of many processes are about: each subject has a counter that its triggers raise and its runs read, and the record
 * of those runs.
 */
export async function createJobWorld(db: ForgeflowDatabase): Promise<void> {
  await sql`
    create table job_subjects (
      id integer primary key,
      counter integer not null default 0,
      takes_ms integer[] not null, -- by the runs in their order; the last holds for all after it
      held boolean not null default false -- no run ends
    )
  `.execute(db);
  await sql`
    create table job_runs (
      id integer primary key generated always as identity,
      subject integer not null,
      worker integer not null,
      attempt integer not null,
      read integer not null,
      started_at timestamptz not null default clock_timestamp(),
      ended_at timestamptz,
      ended_as text
    )
  `.execute(db);
}

export async function addSubject(db: ForgeflowDatabase, id: number, takesMs: number[]): Promise<void> {
  await sql`insert into job_subjects (id, takes_ms) values (${id}, ${takesMs}::integer[])`.execute(db);
}

/** From now on no run of that subject ends, until it is released. */
export async function hold(db: ForgeflowDatabase, subject: number): Promise<void> {
  await sql`update job_subjects set held = true where id = ${subject}`.execute(db);
}

export async function release(db: ForgeflowDatabase, subject: number): Promise<void> {
  await sql`update job_subjects set held = false where id = ${subject}`.execute(db);
}

async function isHeld(db: ForgeflowDatabase, subject: number): Promise<boolean> {
  return (await sql`select from job_subjects where id = ${subject} and held`.execute(db)).rows.length > 0;
}

/** Makes news of which the job's next run has to know. @returns the counter that it has to read, or a higher one */
export async function raiseCounter(db: ForgeflowDatabase, subject: number): Promise<number> {
  const { rows } = await sql<{ counter: number }>`
    update job_subjects set counter = counter + 1 where id = ${subject} returning counter
  `.execute(db);
  return rows[0]!.counter;
}

export async function readCounter(db: ForgeflowDatabase, subject: number): Promise<number> {
  const { rows } = await sql<{ counter: number }>`select counter from job_subjects where id = ${subject}`.execute(db);
  return rows[0]!.counter;
}

/** A handler's one look at the world, and how long it takes over it. */
export function readTheWorld(db: ForgeflowDatabase): JobWorkersOptions['handle'] {
  return async (_kind, payload, { signal }) => {
    const subject = subjectOf(payload);
    const { attempt } = Context.current().info;
    const { rows } = await sql<{ run: number; read: number; takesMs: number }>`
      with run as (
        insert into job_runs (subject, worker, attempt, read)
        select id, ${process.pid}, ${attempt}, counter from job_subjects where id = ${subject}
        returning id, read
      )
      select run.id as run, run.read,
        coalesce(takes_ms[1 + (select count(*) from job_runs where subject = ${subject})], takes_ms[cardinality(takes_ms)]) as "takesMs"
      from run, job_subjects where job_subjects.id = ${subject}
    `.execute(db);
    const { run, read, takesMs } = rows[0]!;
    const end = async (how: string): Promise<void> => {
      await sql`update job_runs set ended_at = clock_timestamp(), ended_as = ${how} where id = ${run}`.execute(db);
    };
    try {
      await sleep(takesMs, undefined, { signal });
      while (await isHeld(db, subject)) await sleep(50, undefined, { signal });
    } catch (error) {
      await end('broken off');
      throw error;
    }
    await end('done');
    return { summary: 'read', read };
  };
}

export interface RecordedRun {
  worker: number;
  attempt: number;
  read: number;
  startedAt: Date;
  endedAt: Date | null;
  endedAs: 'done' | 'broken off' | 'killed' | null;
}

/** The runs of a subject, each attempt one, in the order of their beginnings. */
export async function runsOf(db: ForgeflowDatabase, subject: number): Promise<RecordedRun[]> {
  const { rows } = await sql<RecordedRun>`
    select worker, attempt, read, started_at as "startedAt", ended_at as "endedAt", ended_as as "endedAs"
    from job_runs where subject = ${subject} order by id
  `.execute(db);
  return rows;
}

/** Of a worker that has just been killed: what it had in hand has ended, too. */
export async function endRunsOf(db: ForgeflowDatabase, worker: number): Promise<number> {
  const { numAffectedRows } = await sql`
    update job_runs set ended_at = clock_timestamp(), ended_as = 'killed' where worker = ${worker} and ended_at is null
  `.execute(db);
  return Number(numAffectedRows);
}
