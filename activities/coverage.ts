import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { CoverageError } from '../src/coverage/coverage-error.ts';
import { measureCoverage } from '../src/coverage/parse.ts';
import { type CommitCoverage, keepCoverage } from '../src/database/commit-coverage.ts';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import {
  type AwaitedCommit,
  type CoverageReport,
  findAwaitedCommit,
  findReport,
  finishReport,
  heldUntil,
  readReportContent,
} from '../src/database/coverage-reports.ts';
import { findTracked } from '../src/database/tracked-repositories.ts';
import { type FileTotals, judgeCoverage, totalsOf } from '../src/domain/coverage.ts';
import { exclusion } from '../src/domain/coverage-exclusion.ts';
import { comesTooLate } from '../src/domain/coverage-report.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { type Manifest, parseManifest } from '../src/domain/manifest.ts';
import { ManifestError } from '../src/domain/manifest-error.ts';
import { pathText } from '../src/domain/path-text.ts';
import type { Clone } from '../src/git/clone.ts';
import { readManifestAt } from '../src/git/commit-manifest.ts';
import { treeEntries } from '../src/git/tree.ts';
import { permanentFailure } from './failures.ts';
import type { JobClones } from './job-clones.ts';
import type { JobContext, JobDone, JobOutcome } from './job-context.ts';

export interface CoverageDependencies {
  db: ForgeflowDatabase;
  clones: Pick<JobClones, 'use'>;
}

export function createCoverage({ db, clones }: CoverageDependencies) {
  return {
    /**
     * Reads a report into what is known of its commit. Before the commit is there the job waits, for two hours at most; then
     * the report is dropped.
     * @returns the facts `covered`, `total`, `percent`, `isEnough`, `files`; `state` where it was not processed
     * @throws GitError, ConfigError, and ApplicationFailure where there is no such report
     */
    async processCoverage(
      { repositoryId, sha, report: reportId }: JobPayload<'processCoverage'>,
      { signal, now }: JobContext,
    ): Promise<JobOutcome> {
      const [repository, report] = await Promise.all([findTracked(db, repositoryId), findReport(db, reportId)]);
      if (repository === undefined)
        throw permanentFailure(`there is no tracked repository ${repositoryId}; see "forgeflow repositories list"`);
      if (report?.repositoryId !== repositoryId || report.sha !== sha)
        throw permanentFailure(`${repository.path} has no coverage report ${reportId} of the commit ${sha}`);
      if (report.state !== 'held') return over(report);

      const commit = await findAwaitedCommit(db, repositoryId, sha);
      const until = heldUntil(report);
      const isThere = commit?.isCompleted ?? false;
      if (comesTooLate(until, { now, knownSince: isThere ? (commit?.knownSince ?? null) : null }))
        return end(report, 'dropped', commit !== undefined && commit.knownSince <= until ? NOT_CLONED : NEVER_CAME);
      if (commit === undefined || !isThere)
        return { postponedUntil: until.toISOString(), reason: whyItWaits(commit), wakesWhenAsked: true };

      const work = async (clone: Clone) => readReport(clone, report);
      const found = await clones.use(repository, work, signal).catch((error: unknown) => {
        if (error instanceof ManifestError || error instanceof CoverageError) return error;
        throw error;
      });
      if (found instanceof Error) return end(report, 'failed', found.message);
      if (found === null || !(await keepCoverage(db, { repositoryId, commitId: commit.id }, found)))
        return over((await findReport(db, reportId)) ?? report);
      const { covered, total, isEnough, description, files } = found;
      return { summary: description, covered, total, isEnough, files: files.length };
    },
  };

  async function end(report: CoverageReport, state: 'dropped' | 'failed', problem: string): Promise<JobDone> {
    const isEnded = await finishReport(db, report.id, { state, problem });
    return isEnded ? { summary: `${state}: ${problem}`, state } : over((await findReport(db, report.id)) ?? report);
  }

  /** @returns null where the report is over meanwhile */
  async function readReport(
    clone: Clone,
    { id, sha }: CoverageReport,
  ): Promise<(CommitCoverage & { files: FileTotals[] }) | null> {
    const { coverage: wanted } = await readManifest(clone, sha);
    const paths = new Set<string>();
    for await (const { path } of treeEntries(clone, sha, { sizes: false })) paths.add(pathText(path));
    const content = await readReportContent(db, id);
    if (content === null) return null;
    const { format, files: all } = await pipeline(Readable.from([content]), createGunzip(), async (bytes) =>
      measureCoverage(bytes as AsyncIterable<Buffer>, { files: paths }),
    );
    const isLeftOut = exclusion(wanted.excludePaths);
    const files = all.filter(({ path }) => !isLeftOut(path));
    const totals = totalsOf(files);
    const { isEnough, text } = judgeCoverage(totals, wanted.minPercent);
    return {
      ...totals,
      format,
      files,
      minPercent: wanted.minPercent,
      excludedFiles: all.length - files.length,
      isEnough,
      description: text,
      reportId: id,
    };
  }
}

const NEVER_CAME = 'its commit did not come within 2 hours';
const NOT_CLONED = 'its commit came, but was not cloned within 2 hours';

function whyItWaits(commit: AwaitedCommit | undefined): string {
  return commit === undefined ? 'its commit has not come yet' : 'its commit is not cloned yet';
}

/** What there is to say of a report that needs no processing any more. */
function over({ state, problem }: CoverageReport): JobDone {
  if (state === 'held') return { summary: 'nothing to do: its repository is not tracked any more', state };
  return { summary: `nothing to do: it is ${state} already${problem === null ? '' : ` (${problem})`}`, state };
}

/** A manifest that is wrong fails the report: what it leaves out and requires is not known. @throws ManifestError */
async function readManifest(clone: Clone, sha: string): Promise<Pick<Manifest, 'coverage'>> {
  const bytes = await readManifestAt(clone, sha);
  return bytes === null ? { coverage: { minPercent: null, excludePaths: [] } } : parseManifest(bytes);
}
