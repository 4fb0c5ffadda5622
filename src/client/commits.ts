import { checkOfRow } from '../database/check-rows.ts';
import {
  type CheckDetails,
  type CommitOverview,
  listCommits,
  listCoverageFiles,
  listProblems,
  type ProblemDetails,
} from '../database/commit-details.ts';
import { textOfChecks } from '../domain/checks-text.ts';
import type { ChecksState, CommitState } from '../domain/commit.ts';
import { invalid, Refusal } from '../domain/refusal.ts';
import type { ClientContext } from './context.ts';
import { type CoverageTotals, totals } from './repository-details.ts';
import { requireTracked } from './tracked-repository.ts';

/** A commit that was processed, or is to be. Times are ISO 8601, absent is null. */
export interface Commit {
  /** Ours, which job payloads have. */
  id: number;
  repository: string;
  sha: string;
  /** Whether it was cloned. */
  state: CommitState;
  title: string | null;
  author: string | null;
  /** Of the author, where one of our users has their email. */
  username: string | null;
  authoredAt: string | null;
  /** What its files take together. */
  sizeBytes: number | null;
  /** Branches that it is the head of. */
  branches: string[];
  checks: { state: ChecksState; description: string | null };
  coverage: CommitCoverageStatus | null;
}

export interface CommitCoverageStatus extends CoverageTotals {
  format: 'lcov' | 'cobertura';
  /** What the manifest requires; null: nothing. */
  minPercent: number | null;
  isEnough: boolean;
  description: string;
  excludedFiles: number;
}

export interface CommitDetails extends Commit {
  runs: CheckDetails[];
  /** 1000 at most. */
  problems: ProblemDetails[];
  /** Those with the most lines that did not run first; 1000 at most. */
  files: ({ path: string } & CoverageTotals)[];
}

const LIMIT = 1_000;
/** Fewer digits are hardly meant to name a commit. */
const SHORTEST_SHA = 4;

/** The commits of tracked repositories, with what checks and coverage say of them. */
export class Commits {
  readonly #context: ClientContext;

  constructor(context: ClientContext) {
    this.#context = context;
  }

  /** Newest first. @throws Refusal `not_found` for a repository that is not tracked */
  async list(path: string, { limit = 50 }: { limit?: number | undefined } = {}): Promise<Commit[]> {
    if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT)
      throw invalid('limit', `it is a whole number from 1 to ${LIMIT}`);
    const repository = await requireTracked(this.#context.db, path);
    const commits = await listCommits(this.#context.db, { repositoryId: repository.id, limit });
    return commits.map((commit) => present(commit, repository.path));
  }

  /** @param sha its id, or the first 4 digits of it, or more, where no other begins so. @throws Refusal `not_found`, `invalid` */
  async show(path: string, sha: string): Promise<CommitDetails> {
    const begin = sha.toLowerCase();
    if (!/^[0-9a-f]{4,64}$/.test(begin))
      throw invalid('sha', `it is not the id of a commit, nor the first ${SHORTEST_SHA} digits of one or more`);
    const { db } = this.#context;
    const repository = await requireTracked(this.#context.db, path);
    const [found, other] = await listCommits(db, { repositoryId: repository.id, shaBegin: begin, limit: 2 });
    if (found === undefined)
      throw new Refusal('not_found', `there is no commit ${sha} of ${repository.path} that was ever to be processed`);
    if (other !== undefined) throw invalid('sha', 'more than one commit begins so; give more digits');
    const [problems, files] = await Promise.all([
      listProblems(db, found.id, LIMIT),
      listCoverageFiles(db, found.id, LIMIT),
    ]);
    return {
      ...present(found, repository.path),
      runs: found.checks.map((check) => ({
        ...check,
        startedAt: iso(check.startedAt),
        finishedAt: iso(check.finishedAt),
      })),
      problems,
      files: files.map(({ path: its, ...lines }) => ({ path: its, ...totals(lines) })),
    };
  }
}

function present(found: CommitOverview, repository: string): Commit {
  const { id, sha, state, title, authorName, username, authoredAt, sizeBytes, branches, coverage } = found;
  return {
    id,
    repository,
    sha,
    state,
    title,
    author: authorName,
    username,
    authoredAt: authoredAt?.toISOString() ?? null,
    sizeBytes,
    branches,
    checks: { state: found.checksState, description: textOfChecks({ ...found, checks: found.checks.map(checkOfRow) }) },
    coverage: coverage && { ...coverage, ...totals(coverage) },
  };
}

/** Postgres writes times into JSON with the offset of its own zone. */
function iso(time: string | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
