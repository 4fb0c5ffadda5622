/**
 * What can go wrong with a call to GitLab. Each message is one sentence that may be stored and shown: it holds no token
 * and of GitLab's answer at most a short, cleaned excerpt. None carries a cause: what lies beneath may hold the request,
 * and with it the token.
 */
export abstract class GitlabError extends Error {}

/** 404, or 301 for a path that was left: no such thing, or none that this token may see. */
export class GitlabNotFound extends GitlabError {
  override readonly name = 'GitlabNotFound';

  /** Id (as text) or path under which GitLab says the project or group is now. */
  readonly movedTo: string | undefined;

  constructor(message: string, movedTo?: string) {
    super(message);
    this.movedTo = movedTo;
  }
}

/** 403: seen, but not allowed. */
export class GitlabForbidden extends GitlabError {
  override readonly name = 'GitlabForbidden';
}

/** The token is no good for any call: unknown, expired, revoked, without the `api` scope, or of a blocked account. */
export class GitlabInvalidCredentials extends GitlabError {
  override readonly name = 'GitlabInvalidCredentials';
}

/** 429. */
export class GitlabRateLimited extends GitlabError {
  override readonly name = 'GitlabRateLimited';

  /** By our own clock; null where GitLab does not say. */
  readonly retryAt: Date | null;
  /** `call`: only this kind of call is limited (GitLab allows five test sends a minute), others go on. */
  readonly scope: 'api' | 'call';

  constructor(message: string, retryAt: Date | null, scope: 'api' | 'call') {
    super(message);
    this.retryAt = retryAt;
    this.scope = scope;
  }
}

/** The project or group has as many hooks as GitLab allows. */
export class GitlabHookLimitReached extends GitlabError {
  override readonly name = 'GitlabHookLimitReached';
}

/** GitLab understood the request and does not want it (400, 409, 422 and the like). */
export class GitlabRejected extends GitlabError {
  override readonly name = 'GitlabRejected';
}

/** No answer of GitLab's own: 5xx, a timeout, no connection. What was asked for may have happened all the same. */
export class GitlabUnavailable extends GitlabError {
  override readonly name = 'GitlabUnavailable';
}

/** An answer that is not GitLab's API speaking as documented: HTML, a redirect to a login page, cut or of wrong shape. */
export class GitlabBadAnswer extends GitlabError {
  override readonly name = 'GitlabBadAnswer';
}
