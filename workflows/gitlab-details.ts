import type { InstallResult, ListingResult } from '../src/domain/install-run.ts';
import type { RunProgress } from './gitlab-run.ts';

// The details texts of the Web UI, in its Markdown.

export function describeInstallation(
  { listed, isListed, page, done, remaining }: RunProgress,
  end: { result: InstallResult; error: string | null } | null,
): string {
  return lines([
    isListed || page > 0 ? null : `listing repositories: ${listed} so far`,
    page > 0 ? `**page ${page}**: ${done} done, ${remaining ?? 'some'} to do` : null,
    end && counts(end.result),
    end && why(end.result.endedEarly, end.result.retryAt, end.error),
  ]);
}

export function describeListing({ listed, added, endedEarly, retryAt }: ListingResult): string {
  return lines([
    `**${listed} repositories** listed, ${added} of them new`,
    endedEarly && why(endedEarly, retryAt, null),
  ]);
}

function counts(result: InstallResult): string {
  const names = ['installed', 'verified', 'adopted', 'repaired', 'covered', 'blocked', 'failed', 'remaining'] as const;
  const shown = names.filter((name) => result[name] > 0).map((name) => `${name} ${result[name]}`);
  return shown.join(' · ') || 'nothing was due';
}

function why(endedEarly: InstallResult['endedEarly'], retryAt: string | null, error: string | null): string {
  if (error !== null) return `failed: ${error}`;
  if (endedEarly === 'invalid_credentials') return 'ended early: GitLab does not accept GITLAB_TOKEN';
  if (endedEarly === null) return 'ended: nothing is left to do';
  const goesOn = retryAt === null ? 'the next run goes on' : `the first run after ${retryAt} goes on`;
  return `ended early: GitLab's rate limit is used up; ${goesOn}`;
}

function lines(parts: (string | null)[]): string {
  return parts.filter((part) => part !== null).join('\n\n');
}
