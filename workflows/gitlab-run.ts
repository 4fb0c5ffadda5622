import { ActivityFailure, ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import type { GitlabIdentity } from '../activities/gitlab-listing.ts';
import type { Interruption } from '../src/domain/install-run.ts';
import { gitlabListing } from './proxies.ts';

/** GitLab wants us to pause, or does not know our token: the run ends early, and that is no failure. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly interruption: Interruption;

  constructor(interruption: Interruption) {
    super(interruption.endedEarly);
    this.interruption = interruption;
  }
}

/** @throws Interrupted */
export function unlessInterrupted<T extends object>(result: T | Interruption): T {
  if ('endedEarly' in result) throw new Interrupted(result);
  return result;
}

/** How far a run has come; ids and counts only. It is what the run continues as new with. */
export interface RunProgress {
  identity: GitlabIdentity | null;
  listed: number;
  added: number;
  isListed: boolean;
  page: number;
  done: number;
  remaining: number | null;
}

export const BEGINNING: RunProgress = {
  identity: null,
  listed: 0,
  added: 0,
  isListed: false,
  page: 0,
  done: 0,
  remaining: null,
};

/** The workflow's clock, as activities take it. */
export function now(): string {
  return new Date().toISOString();
}

/** Whether the history has become so long that the run had better continue with a new one. */
export function isHistoryLong(): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return continueAsNewSuggested || historyLength > MOST_EVENTS;
}

/** A page makes six events; far below the server's own limit, so that the Web UI shows a run quickly. */
const MOST_EVENTS = 3_000;

export async function identify(progress: RunProgress): Promise<RunProgress> {
  return progress.identity === null
    ? { ...progress, identity: unlessInterrupted(await gitlabListing.identify()) }
    : progress;
}

/** Reads one page of the repositories that GitLab lists. */
export async function listPage(progress: RunProgress): Promise<RunProgress> {
  const { identity } = progress;
  if (identity === null) throw new Error('a run that does not know its account cannot list');
  const summary = `listing ${identity.group?.path ?? `what ${identity.username} maintains`}, after ${progress.listed}`;
  const { listed, added, complete } = unlessInterrupted(
    await gitlabListing.listPage.executeWithOptions({ summary }, [identity, now()]),
  );
  return { ...progress, listed: progress.listed + listed, added: progress.added + added, isListed: complete };
}

/** What a person reads of a failure, in one sentence. */
export function sentenceOf(error: unknown): string {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) return cause.message;
  return cause instanceof Error ? cause.message : 'an unknown fault';
}
