import { jobEvent, pipelineEvent } from './change-events.ts';
import { headRef } from './code-changes.ts';
import type { Delivery, Surroundings } from './deliver.ts';
import { emit } from './events.ts';
import type { MergeRequest } from './merge-request.ts';
import { type Job, type Pipeline, statusOf, type StatusWord } from './pipelines.ts';
import type { Project } from './places.ts';
import type { World } from './world.ts';

export interface NewJob {
  name: string;
  status: StatusWord;
  stage?: string;
  allowFailure?: boolean;
}

export interface NewPipeline {
  /** That of a branch; the default branch when absent. */
  ref?: string;
  /** Head of the branch, or of the merge request, when absent. */
  sha?: string;
  /** One that is for a merge request: by its head, or (`merged`) by a commit that tries its merge. */
  mergeRequest?: MergeRequest;
  merged?: boolean;
  jobs: readonly NewJob[];
}

export interface ReportedStatus extends NewJob {
  sha: string;
  ref?: string;
  description?: string | null;
}

/** What runners do, and other services that report on commits. Hooks are told of each change, as GitLab does it. */
export interface PipelineChanges {
  runPipeline(project: Project, pipeline: NewPipeline): Promise<Pipeline>;
  setJob(job: Job, status: StatusWord): Promise<Delivery[]>;
  /** A new job of its name takes its place. */
  retryJob(job: Job, status?: StatusWord): Promise<Job>;
  /** A later report of the same name replaces the one before; GitLab tells hooks of the pipeline, and only where its status changes. */
  reportStatus(project: Project, status: ReportedStatus): Promise<Job>;
}

export function createPipelineChanges(world: World, within: Surroundings): PipelineChanges {
  return {
    async runPipeline(project, { mergeRequest, merged = false, jobs, ...given }) {
      const of = mergeRequest === undefined ? { ref: given.ref ?? project.defaultBranch } : refOf(mergeRequest, merged);
      const sha = given.sha ?? mergeRequest?.headSha ?? (await world.codeOf(project).head(of.ref));
      if (sha === null) throw new Error(`there is no branch ${of.ref} in ${project.path}`);
      const pipeline = await newPipeline(project, sha, of.ref, {
        source: mergeRequest === undefined ? 'push' : 'merge_request_event',
        mergeRequest: mergeRequest ?? null,
      });
      for (const job of jobs) newJob(pipeline, job, false);
      pipeline.status = statusOf(pipeline);
      await tellOfPipeline(pipeline);
      for (const job of pipeline.jobs) await tellOfJob(job);
      return pipeline;
    },
    async setJob(job, status) {
      job.status = status;
      return [...(await tellOfJob(job)), ...(await settle(job.pipeline))];
    },
    async retryJob(job, status = 'running') {
      job.retried = true;
      const next = newJob(job.pipeline, { ...job, status }, job.external);
      await tellOfJob(next);
      await settle(job.pipeline);
      return next;
    },
    async reportStatus(project, { sha, ref = project.defaultBranch, ...reported }) {
      const { pipelines } = world.codeOf(project);
      const pipeline =
        pipelines.findLast((one) => one.sha === sha && one.ref === ref) ??
        (await newPipeline(project, sha, ref, { source: 'external', mergeRequest: null }));
      const known = pipeline.jobs.find(({ name, external, retried }) => name === reported.name && external && !retried);
      let job: Job;
      if (known !== undefined && ['pending', 'running'].includes(known.status)) {
        job = Object.assign(known, reported);
      } else {
        if (known !== undefined) known.retried = true;
        job = newJob(pipeline, { stage: 'external', ...reported }, true);
      }
      await settle(pipeline);
      return job;
    },
  };

  async function newPipeline(
    project: Project,
    sha: string,
    ref: string,
    { source, mergeRequest }: Pick<Pipeline, 'source' | 'mergeRequest'>,
  ): Promise<Pipeline> {
    const code = world.codeOf(project);
    // The commit that tries a merge is GitLab's own, and in no branch.
    if (code.directory === null) await code.keepHead(ref, sha, code);
    const pipeline: Pipeline = {
      id: world.nextId('pipeline'),
      iid: code.pipelines.length + 1,
      project,
      sha,
      ref,
      source,
      mergeRequest,
      status: 'created',
      jobs: [],
      createdAt: within.clock.now(),
    };
    code.pipelines.push(pipeline);
    return pipeline;
  }

  function newJob(
    pipeline: Pipeline,
    { name, status, stage = 'test', allowFailure = false, description = null }: Omit<ReportedStatus, 'sha'>,
    external: boolean,
  ) {
    const id = world.nextId('job');
    const job = {
      id,
      name,
      status,
      stage,
      allowFailure,
      external,
      description,
      retried: false,
      pipeline,
      createdAt: within.clock.now(),
    };
    pipeline.jobs.push(job);
    return job;
  }

  async function settle(pipeline: Pipeline): Promise<Delivery[]> {
    const status = statusOf(pipeline);
    if (status === pipeline.status) return [];
    pipeline.status = status;
    return tellOfPipeline(pipeline);
  }

  async function tellOfPipeline(pipeline: Pipeline): Promise<Delivery[]> {
    const payload = pipelineEvent(pipeline, pipeline.mergeRequest, within);
    return emit(pipeline.project, { flag: 'pipeline_events', payload }, within);
  }

  async function tellOfJob(job: Job): Promise<Delivery[]> {
    if (job.external) return [];
    return emit(job.pipeline.project, { flag: 'job_events', payload: jobEvent(job, within) }, within);
  }
}

const refOf = ({ iid }: MergeRequest, merged: boolean): { ref: string } => ({
  ref: merged ? `refs/merge-requests/${iid}/merge` : headRef(iid),
});
