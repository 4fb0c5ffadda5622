import { type Answer, isHtml } from './answer.ts';
import {
  GitlabBadAnswer,
  type GitlabError,
  GitlabForbidden,
  GitlabHookLimitReached,
  GitlabInvalidCredentials,
  GitlabNotFound,
  GitlabRateLimited,
  GitlabRejected,
  GitlabUnavailable,
} from './errors.ts';
import { excerptOf } from './excerpt.ts';
import { retryTime } from './rate-limit.ts';

/** What was asked, and what of it must not be repeated in words. */
export interface Asked {
  url: URL;
  secrets: readonly string[];
}

// GitLab before 15 says so with a 404, later with a 422.
const HOOK_LIMIT = /maximum number of .{0,40}hooks .{0,20}exceeded/i;
// The account is out as a whole, although GitLab says 403 and not 401.
const ACCOUNT_OUT = /your account (?:has been|is)|terms of service/i;

/** The error for an answer outside 2xx. */
export function refusalOf(answer: Answer, asked: Asked): GitlabError {
  const { status } = answer;
  const said = excerptOf(answer, asked.secrets);
  const because = said === '' ? '' : `: ${said}`;
  if (status === 401) return new GitlabInvalidCredentials(`GitLab does not accept the token${because}`);
  if (status === 429) return rateLimited(answer, asked, said);
  if (status >= 500 || status === 408) return new GitlabUnavailable(`GitLab answered ${status}${because}`);
  if (status >= 300 && status < 400) return redirected(answer, asked);
  // A proxy's page says nothing of GitLab's view: taken for a 404 it would count every repository as gone.
  if (isHtml(answer))
    return new GitlabBadAnswer(`${status} came with a web page, not from GitLab's API; is GITLAB_URL right?`);
  if (HOOK_LIMIT.test(said)) return new GitlabHookLimitReached(`GitLab takes no more hooks here${because}`);
  if (status === 403) return forbidden(answer, said, because);
  if (status === 404) return new GitlabNotFound(`GitLab has no such thing, or hides it from this token${because}`);
  return new GitlabRejected(`GitLab refused the request with ${status}${because}`);
}

function forbidden(answer: Answer, said: string, because: string): GitlabError {
  if (/"error"\s*:\s*"insufficient_scope"/.test(answer.text))
    return new GitlabInvalidCredentials("The token lacks the scope 'api'");
  if (ACCOUNT_OUT.test(said)) return new GitlabInvalidCredentials(`GitLab shuts the token's account out${because}`);
  return new GitlabForbidden(`GitLab does not allow this to the token's account${because}`);
}

/**
 * Test sends have a limit of their own, which GitLab tells in JSON ("This endpoint has been requested too many times");
 * that of the whole API it tells in plain text ("Retry later").
 */
function rateLimited(answer: Answer, { url }: Asked, said: string): GitlabRateLimited {
  const isTestSend = /\/hooks\/\d+\/test\/\w+$/.test(url.pathname);
  const scope = isTestSend && /this endpoint/i.test(said) ? 'call' : 'api';
  const what = scope === 'call' ? 'no more test sends for now' : 'no more requests for now';
  return new GitlabRateLimited(`GitLab takes ${what} (429)`, retryTime(answer.headers), scope);
}

/**
 * Redirects are never followed: the token would go where an answer points. GitLab's own is the 301 from the old path of
 * a project or group to its id; any other leads to a login page, or tells that GITLAB_URL is not quite right.
 */
function redirected({ status, headers }: Answer, { url }: Asked): GitlabError {
  const location = headers['location'] ?? '';
  const target = location !== '' && URL.canParse(location, url.href) ? new URL(location, url) : null;
  if (target === null) return new GitlabBadAnswer(`GitLab answered ${status} without saying where to go`);
  const movedTo = ownerIn(target);
  if (movedTo !== null && movedTo !== ownerIn(url)) return new GitlabNotFound('GitLab has moved this', movedTo);
  const where = `${target.origin}${target.pathname}`.slice(0, 100);
  return new GitlabBadAnswer(`GitLab answered ${status}, to ${where}; is GITLAB_URL right?`);
}

/** `…/api/v4/projects/group%2Fname/hooks` → `group/name` */
function ownerIn({ pathname }: URL): string | null {
  const segment = /\/api\/v4\/(?:projects|groups)\/([^/]+)/.exec(pathname)?.[1];
  try {
    return segment === undefined ? null : decodeURIComponent(segment);
  } catch {
    return null;
  }
}
