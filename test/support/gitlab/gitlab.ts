import type { UnknownParameter } from './api.ts';
import type { CodeChanges } from './code-changes.ts';
import type { Clock } from './clock.ts';
import type { Delivery } from './deliver.ts';
import type { GitlabEvent } from './events.ts';
import type { GitRequest } from './git-http.ts';
import type { ActiveFault, FaultRule } from './faults.ts';
import type { HookFlag } from './hook-events.ts';
import type { AlertStatus } from './hook-health.ts';
import type { Hook, HookFields } from './hook.ts';
import type { PipelineChanges } from './pipeline-changes.ts';
import type { PlaceHappenings } from './place-happenings.ts';
import type { RateLimit } from './rate-limit.ts';
import type { LoggedRequest } from './request-log.ts';
import type { ReviewChanges } from './review-changes.ts';
import type { Settings } from './settings.ts';
import type { NewToken, Token } from './tokens.ts';
import type { Group, NewGroup, NewProject, Owner, Project, User, UserChanges } from './places.ts';

export interface GitlabOptions {
  settings?: Partial<Settings>;
  /** What the bot is in the root group; Maintainer (40) when absent. Group hooks want an Owner (50). */
  botAccess?: number;
  /** Where it lives below its host, such as `/gitlab`; at its root when absent. */
  relativeUrlRoot?: string;
  /** How long every answer of the API takes at least. */
  latencyMs?: number;
  /** How many requests `requests` holds; 0: none. */
  loggedRequests?: number;
}

/** What of a project a test may change as it likes, without hooks being told. */
export type ProjectChanges = Partial<
  Pick<
    Project,
    | 'archived'
    | 'empty'
    | 'visibility'
    | 'defaultBranch'
    | 'mergeRequestsEnabled'
    | 'pipelinesEnabled'
    | 'approvalsRequired'
    | 'resetApprovalsOnPush'
  >
>;

/**
 * A stand-in for GitLab: the parts of its REST API that are about webhooks and merge requests, and its repositories by git's
 * own HTTP, on a real port of 127.0.0.1.
 */
export interface Gitlab extends CodeChanges, ReviewChanges, PipelineChanges, PlaceHappenings {
  /** `http://127.0.0.1:<port>`, what GITLAB_URL is. */
  readonly url: string;
  /** Of the bot, with the scope `api`; what GITLAB_TOKEN is. */
  readonly token: string;
  readonly bot: User;
  /** A private group, `acme`, of which the bot is a member. */
  readonly root: Group;
  readonly settings: Settings;
  readonly clock: Clock;
  latencyMs: number;

  addUser(user: { username: string; admin?: boolean }): User;
  /** Until they are unblocked they may nothing. */
  blockUser(user: User, blocked?: boolean): void;
  /** @throws Error for what GitLab would not take */
  changeUser(user: User, changes: UserChanges): void;
  deleteUser(user: User): void;
  addToken(user: User, token?: NewToken): Token;
  revokeToken(token: string): void;
  addGroup(group: NewGroup): Group;
  /** In the root group when no group is given. */
  addProject(project: NewProject): Project;
  /** `<prefix>-000001` and so on; 100,000 take less than a second. */
  addProjects(count: number, group?: Group, prefix?: string): Project[];
  /** Or changes what they may. */
  addMember(owner: Owner, user: User, level: number): void;
  removeMember(owner: Owner, user: User): void;
  /** Invites a group: its members, and those it inherits, have at most `level` here. */
  share(owner: Owner, withGroup: Group, level: number): void;
  changeProject(project: Project, changes: ProjectChanges): void;
  deleteProject(project: Project): void;
  /** To a whole new path, below a group that is there; the old one redirects. */
  moveProject(project: Project, path: string): void;

  /** Secrets included. */
  hooksOf(owner: Owner): readonly Hook[];
  alertStatusOf(hook: Hook): AlertStatus;
  /** These four as a person does it, in GitLab's pages. */
  addHook(owner: Owner, fields: Partial<HookFields> & { url: string }): Hook;
  editHook(hook: Hook, changes: Partial<HookFields>): void;
  removeHook(hook: Hook): void;
  /** As if its receiver had failed often enough. */
  disableHook(hook: Hook, status: Exclude<AlertStatus, 'executable'>): void;

  /** Something happens there, and the hooks that want to know are told. @returns what came of it, one for each hook */
  emit(owner: Owner, event: HookFlag | GitlabEvent): Promise<Delivery[]>;
  /** Sends it once more, with the same Idempotency-Key. @throws Error when its hook is gone */
  resend(delivery: Delivery): Promise<Delivery>;

  readonly rateLimit: RateLimit;
  readonly faults: {
    add(rule: FaultRule): ActiveFault;
    /** Removes all of them, and lets go of the requests that hang. */
    clear(): void;
  };

  /** Those to the API, in the order they came. */
  readonly requests: readonly LoggedRequest[];
  /** How many there were, however many are in `requests`. */
  readonly requestCount: number;
  /** How many the API has worked at in the same moment, at most. */
  readonly mostRequestsAtOnce: number;
  forgetRequests(): void;
  /** Those of git, which are none of the API's. */
  readonly gitRequests: readonly GitRequest[];
  /** What clients sent that this version of GitLab passes over. */
  readonly unknownParameters: readonly UnknownParameter[];

  /** The port is closed, and what was under way is torn down. */
  goAway(): Promise<void>;
  /** On the same port, with everything as it was. */
  comeBack(): Promise<void>;
  close(): Promise<void>;
}
