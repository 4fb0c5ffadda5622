import type { MergeRequest } from './merge-request.ts';
import type { Project } from './places.ts';

export type StatusWord =
  | 'created'
  | 'waiting_for_resource'
  | 'preparing'
  | 'pending'
  | 'running'
  | 'success'
  | 'failed'
  | 'canceled'
  | 'skipped'
  | 'manual'
  | 'scheduled';

/** A job of a pipeline, or what another service has reported of a commit. */
export interface Job {
  id: number;
  name: string;
  stage: string;
  status: StatusWord;
  allowFailure: boolean;
  /** Another one of its name has taken its place. */
  retried: boolean;
  /** Reported by another service: no runner, and no event of its own. */
  external: boolean;
  description: string | null;
  pipeline: Pipeline;
  createdAt: number;
}

export interface Pipeline {
  id: number;
  iid: number;
  project: Project;
  sha: string;
  /** A branch, or `refs/merge-requests/7/head`, or `…/merge` for one that tries the merge. */
  ref: string;
  source: 'push' | 'merge_request_event' | 'external';
  /** The one that it is for. */
  mergeRequest: MergeRequest | null;
  /** As its jobs make it. */
  status: StatusWord;
  jobs: Job[];
  createdAt: number;
}

/** What a pipeline's own status is, by those of its jobs that nothing has taken the place of. */
export function statusOf({ jobs }: Pick<Pipeline, 'jobs'>): StatusWord {
  const words = jobs
    .filter(({ retried }) => !retried)
    .map(({ status, allowFailure }) => (allowFailure && ['failed', 'canceled'].includes(status) ? 'success' : status));
  const underWay: StatusWord[] = ['running', 'pending', 'preparing', 'waiting_for_resource', 'created'];
  for (const word of underWay) {
    if (!words.includes(word)) continue;
    return words.every((one) => one === word) ? word : 'running';
  }
  const over: StatusWord[] = ['failed', 'canceled', 'manual', 'scheduled', 'success'];
  return over.find((word) => words.includes(word)) ?? 'skipped';
}

export function commitStatusJson({ id, name, status, description, allowFailure, pipeline, createdAt }: Job): object {
  return {
    id,
    sha: pipeline.sha,
    ref: pipeline.ref,
    status,
    name,
    target_url: null,
    description,
    created_at: new Date(createdAt).toISOString(),
    started_at: null,
    finished_at: null,
    allow_failure: allowFailure,
    coverage: null,
    pipeline_id: pipeline.id,
    author: null,
  };
}
