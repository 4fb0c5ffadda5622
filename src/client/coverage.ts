import { CoverageError } from '../coverage/coverage-error.ts';
import { receiveReport } from '../coverage/receive.ts';
import { type CoverageReport, heldUntil, listReports, storeReport } from '../database/coverage-reports.ts';
import { acceptanceOf, type AcceptedReport, checkSha, type ReportState } from '../domain/coverage-report.ts';
import { invalid, Refusal } from '../domain/refusal.ts';
import type { ClientContext } from './context.ts';
import { requireTracked } from './tracked-repository.ts';

export interface SubmittedReport {
  /** Path of a tracked repository, `group/project`. */
  repository: string;
  /** The whole id of the commit that it is of, which need not be there yet. */
  sha: string;
  /** LCOV or Cobertura, 50 MiB at most. */
  report: string | Uint8Array | AsyncIterable<Uint8Array>;
}

/** A report that came, and what became of it. Times are ISO 8601, absent is null. */
export interface CoverageReportEntry {
  id: number;
  repository: string;
  sha: string;
  state: ReportState;
  /** Why it was dropped or replaced, or failed. */
  problem: string | null;
  sizeBytes: number;
  receivedAt: string;
  /** When it is dropped if its commit has not come; null where it is not held. */
  heldUntil: string | null;
  finishedAt: string | null;
}

const MOST_LISTED = 1_000;

/** Coverage reports of tracked repositories. */
export class Coverage {
  readonly #context: Pick<ClientContext, 'db'>;

  constructor(context: Pick<ClientContext, 'db'>) {
    this.#context = context;
  }

  /**
   * Takes a report in, to be processed as soon as its commit is there; one of the same commit that waits is replaced.
   * @throws Refusal of a bad `sha`, and of a `report` that is neither LCOV nor Cobertura, with the line, or too large;
   *   `not_found` for a repository that is not tracked. Nothing is stored then.
   */
  async submit({ repository, sha: given, report }: SubmittedReport): Promise<AcceptedReport> {
    const { db } = this.#context;
    const sha = checkSha(given);
    const found = await requireTracked(db, repository);
    const received = await receiveReport(chunksOf(report)).catch((error: unknown) => {
      throw error instanceof CoverageError ? invalid('report', error.message) : error;
    });
    const stored = await storeReport(db, { repositoryId: found.id, sha, ...received });
    if (stored === undefined)
      throw new Refusal('not_found', `the repository ${found.path} was removed meanwhile`, 'repository');
    return acceptanceOf(stored);
  }

  /** The reports that came last. @throws Refusal of a bad limit; `not_found` for a repository that is not tracked */
  async list(repository: string, { limit = 50 }: { limit?: number | undefined } = {}): Promise<CoverageReportEntry[]> {
    if (!Number.isInteger(limit) || limit < 1 || limit > MOST_LISTED)
      throw invalid('limit', `it is a whole number from 1 to ${MOST_LISTED}`);
    const { db } = this.#context;
    const found = await requireTracked(db, repository);
    return (await listReports(db, found.id, limit)).map((report) => present(report, found.path));
  }
}

function chunksOf(report: SubmittedReport['report']): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  if (typeof report === 'string') return [Buffer.from(report)];
  return report instanceof Uint8Array ? [report] : report;
}

function present(report: CoverageReport, repository: string): CoverageReportEntry {
  return {
    id: report.id,
    repository,
    sha: report.sha,
    state: report.state,
    problem: report.problem,
    sizeBytes: report.sizeBytes,
    receivedAt: report.receivedAt.toISOString(),
    heldUntil: report.state === 'held' ? heldUntil(report).toISOString() : null,
    finishedAt: report.finishedAt?.toISOString() ?? null,
  };
}
