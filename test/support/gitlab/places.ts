import type { Hook } from './hook.ts';

export const GUEST = 10;
export const REPORTER = 20;
export const DEVELOPER = 30;
export const MAINTAINER = 40;
export const OWNER = 50;

export type Visibility = 'private' | 'internal' | 'public';

export interface User {
  id: number;
  username: string;
  name: string;
  admin: boolean;
  blocked: boolean;
  /** The first is the primary one. */
  emails: { email: string; confirmedAt: string | null }[];
  /** What everybody is shown, and what commits in the Web UI are made with: one of those that are confirmed. */
  publicEmail: string | null;
  commitEmail: string | null;
}

/** What of a user a test may change, or they themselves in their pages. */
export type UserChanges = Partial<Pick<User, 'username' | 'name' | 'emails' | 'publicEmail' | 'commitEmail'>>;

export interface Place {
  id: number;
  /** The whole of it, such as `clay/kilns/small`. */
  path: string;
  name: string;
  visibility: Visibility;
  createdAt: number;
  /** Access levels by user id, of those who are members here and not only above. */
  members: Map<number, number>;
  shares: { group: Group; level: number }[];
  hooks: Hook[];
}

export interface Group extends Place {
  kind: 'group';
  parent: Group | null;
  subgroups: Set<Group>;
  projects: Set<Project>;
}

export interface Project extends Place {
  kind: 'project';
  /** Null for a project of a user. */
  group: Group | null;
  archived: boolean;
  /** Has no commit yet, so that GitLab finds nothing to make a test push of. */
  empty: boolean;
  defaultBranch: string;
  forkedFrom: Project | null;
  /** Whether it has merge requests, and pipelines that our account may see. */
  mergeRequestsEnabled: boolean;
  pipelinesEnabled: boolean;
  /** How many approvals a merge request needs, in the editions that ask for any. */
  approvalsRequired: number;
  /** Whether a push takes all approvals back. */
  resetApprovalsOnPush: boolean;
}

export type Owner = Project | Group;

export interface NewGroup {
  /** Its own part only, such as `small`. */
  path: string;
  parent?: Group | null;
  visibility?: Visibility;
}

export interface NewProject {
  /** Its own part only; without a group the whole path, such as `ada/kiln`. */
  path: string;
  group?: Group | null;
  visibility?: Visibility;
  archived?: boolean;
  empty?: boolean;
  /** `main` when absent. */
  defaultBranch?: string;
  forkedFrom?: Project | null;
  /** A bare repository that is served at `<url>/<path>.git`. */
  git?: string;
}
