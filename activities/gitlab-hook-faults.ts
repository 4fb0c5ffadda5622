import type { HookState } from '../src/domain/hook-state.ts';
import {
  GitlabError,
  GitlabForbidden,
  GitlabInvalidCredentials,
  GitlabNotFound,
  GitlabUnavailable,
} from '../src/gitlab/errors.ts';
import { NoAccess, UnreadableSecret } from './gitlab-hook.ts';

/** What GitLab's refusal makes of a hook. */
export interface HookFault {
  /** Null where the state stays as it was: this says nothing of the hook. */
  state: Exclude<HookState, 'pending' | 'installed' | 'covered'> | null;
  /** One sentence, without secrets. */
  reason: string;
}

/** @returns undefined for what is no answer of GitLab's, but a fault of ours */
export function faultOf(error: unknown): HookFault | undefined {
  if (error instanceof NoAccess) return { state: 'no_access', reason: error.message };
  if (error instanceof UnreadableSecret) return { state: 'error', reason: error.message };
  if (!(error instanceof GitlabError)) return undefined;
  return { state: stateOf(error), reason: error.message };
}

function stateOf(error: GitlabError): HookFault['state'] {
  if (error instanceof GitlabNotFound) return 'not_found';
  if (error instanceof GitlabForbidden) return 'no_access';
  if (error instanceof GitlabInvalidCredentials) return 'invalid_credentials';
  if (error instanceof GitlabUnavailable) return null;
  return 'error';
}
