import { ApplicationFailure } from '@temporalio/common';
import { ConfigError } from '../src/config.ts';
import { Refusal } from '../src/domain/refusal.ts';
import { GitError } from '../src/git/git-error.ts';
import { GitlabError } from '../src/gitlab/errors.ts';

/**
 * A fault of ours while a delivery was attempted: Temporal tries again, without using up the delivery's attempts.
 * The error itself is not attached: it may carry what must not stand in a history.
 */
export function webhookDeliveryRetry(error: unknown): ApplicationFailure {
  return ApplicationFailure.create({ type: 'WebhookDeliveryRetry', message: sentenceOf(error) });
}

/** A setting is missing or wrong: trying again changes nothing before somebody sets it and restarts the workers. */
export function settingMissing(error: ConfigError): ApplicationFailure {
  return ApplicationFailure.create({ type: 'SettingMissing', nonRetryable: true, message: error.message });
}

/** GitLab does not have what somebody asked for by name. */
export function notInGitlab(what: string): ApplicationFailure {
  return ApplicationFailure.create({ type: 'NotInGitLab', nonRetryable: true, message: what });
}

/** GitLab is away or answers nonsense, which may be over in a moment. */
export function gitlabFault(error: GitlabError): ApplicationFailure {
  return ApplicationFailure.create({ type: 'GitLabFault', message: error.message });
}

/** GitLab gave no answer so often that the rest need not be tried now. */
export function gitlabIsAway(unanswered: number): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'GitLabFault',
    message: `GitLab did not answer for ${unanswered} repositories in a row`,
  });
}

/** Two runs at one hook would undo one another's work. */
export function hookIsBusy(): ApplicationFailure {
  return ApplicationFailure.create({ type: 'HookIsBusy', message: 'another run has this hook in hand' });
}

/** A fault of ours while GitLab's webhooks were seen to. */
export function gitlabHooksRetry(error: unknown): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  return ApplicationFailure.create({ type: 'GitLabHooksRetry', message: sentenceOf(error) });
}

/** A job that no further attempt can do: it is dead at once. @param message one sentence, without secrets */
export function permanentFailure(message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: 'JobImpossible', nonRetryable: true, message });
}

/**
 * What an attempt at a job came to that did not get through. Bad payloads, repositories that are gone and clones that a fresh
 * one did not mend are permanent; anything else is tried again. The error itself is not attached: it may carry a token.
 * @param attempt its number, which is all that the failure carries besides
 */
export function jobFailure(error: unknown, attempt: number): ApplicationFailure {
  const { type, message, nonRetryable } = jobFault(error);
  return ApplicationFailure.create({
    type: type ?? 'JobFailed',
    message,
    nonRetryable: nonRetryable ?? false,
    details: [attempt],
  });
}

function jobFault(error: unknown): Pick<ApplicationFailure, 'type' | 'message' | 'nonRetryable'> {
  if (error instanceof ApplicationFailure) return error;
  if (error instanceof ConfigError) return settingMissing(error);
  if (error instanceof Refusal) return permanentFailure(error.message);
  if (error instanceof GitError && (error.kind === 'not_found' || error.kind === 'corrupt'))
    return permanentFailure(error.message);
  const isOurs = error instanceof GitError || error instanceof GitlabError;
  return { type: 'JobFailed', message: isOurs ? error.message : sentenceOf(error), nonRetryable: false };
}

/** A fault of ours while old deliveries were deleted; what is left of them is deleted then. */
export function sweepRetry(error: unknown): ApplicationFailure {
  return ApplicationFailure.create({ type: 'SweepRetry', message: sentenceOf(error) });
}

/** In characters. A failure that is larger than Temporal takes would never arrive. */
const LONGEST_SENTENCE = 1_000;

function sentenceOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}`.slice(0, LONGEST_SENTENCE) : 'an unknown fault';
}
