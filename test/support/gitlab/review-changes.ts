import { mergeRequestEvent, type MergeRequestHappening, noteEvent } from './change-events.ts';
import { headRef, madeUpHash } from './code-changes.ts';
import type { Delivery, Surroundings } from './deliver.ts';
import { emit } from './events.ts';
import { approvalsLeft, isDraft, type MergeRequest } from './merge-request.ts';
import type { Project, User } from './places.ts';
import type { World } from './world.ts';

export interface NewMergeRequest {
  sourceBranch: string;
  /** The default branch when absent. */
  targetBranch?: string;
  /** The fork that its head is in; the project itself when absent. */
  source?: Project;
  title?: string;
  draft?: boolean;
  author?: User;
  reviewers?: readonly User[];
}

/** What people do to merge requests. All of these tell the hooks, and return what came of that where there is nothing else to return. */
export interface ReviewChanges {
  openMergeRequest(project: Project, mergeRequest: NewMergeRequest): Promise<MergeRequest>;
  editMergeRequest(
    mergeRequest: MergeRequest,
    changes: { title?: string; draft?: boolean; targetBranch?: string; reviewers?: readonly User[] },
    user?: User,
  ): Promise<Delivery[]>;
  closeMergeRequest(mergeRequest: MergeRequest, user?: User): Promise<Delivery[]>;
  reopenMergeRequest(mergeRequest: MergeRequest, user?: User): Promise<Delivery[]>;
  /** Only in name: whoever wants the base branch to have it, pushes that. */
  mergeMergeRequest(mergeRequest: MergeRequest, user?: User): Promise<Delivery[]>;
  /** Of that hooks are told nothing. */
  deleteMergeRequest(mergeRequest: MergeRequest): void;
  approve(mergeRequest: MergeRequest, user: User): Promise<Delivery[]>;
  unapprove(mergeRequest: MergeRequest, user: User): Promise<Delivery[]>;
  /** By a reviewer, with a comment; GitLab takes back what approval there was. */
  requestChanges(mergeRequest: MergeRequest, reviewer: User): Promise<Delivery[]>;
  /** @param review a reviewer's, who has thereby reviewed it */
  comment(mergeRequest: MergeRequest, user: User, note: string, options?: { review?: boolean }): Promise<Delivery[]>;
}

export function createReviewChanges(world: World, within: Surroundings): ReviewChanges {
  const { clock, settings } = within;
  return {
    async openMergeRequest(project, { sourceBranch, source = project, author = world.someone(), ...given }) {
      const { title = `Change ${sourceBranch}`, draft = false, targetBranch = project.defaultBranch } = given;
      const code = world.codeOf(project);
      const from = world.codeOf(source);
      if (from.directory === null && (await from.head(sourceBranch)) === null)
        await from.moveBranch(sourceBranch, madeUpHash());
      const headSha = await from.head(sourceBranch);
      if (headSha === null) throw new Error(`there is no branch ${sourceBranch} in ${source.path}`);
      const now = clock.now();
      const mergeRequest: MergeRequest = {
        id: world.nextId('mergeRequest'),
        iid: code.mergeRequestCount + 1,
        project,
        source,
        sourceBranch,
        targetBranch,
        title: draft ? `Draft: ${title}` : title,
        state: 'opened',
        author,
        reviewers: new Map((given.reviewers ?? []).map((user) => [user, { state: 'unreviewed', since: now }])),
        approvals: new Map(),
        headSha,
        createdAt: now,
        updatedAt: now,
      };
      await code.keepHead(headRef(mergeRequest.iid), headSha, from);
      code.mergeRequestCount++;
      code.mergeRequests.push(mergeRequest);
      await tell(mergeRequest, { user: author, action: 'open' });
      return mergeRequest;
    },

    async editMergeRequest(mergeRequest, { title, draft, targetBranch, reviewers }, user = mergeRequest.author) {
      const before = { ...mergeRequest, draft: isDraft(mergeRequest), reviewers: [...mergeRequest.reviewers.keys()] };
      const bare = (title ?? mergeRequest.title).replace(/^Draft: /, '');
      mergeRequest.title = (draft ?? isDraft(mergeRequest)) ? `Draft: ${bare}` : bare;
      if (targetBranch !== undefined) mergeRequest.targetBranch = targetBranch;
      if (reviewers !== undefined) {
        const known = mergeRequest.reviewers;
        const fresh = { state: 'unreviewed', since: clock.now() } as const;
        mergeRequest.reviewers = new Map(reviewers.map((one) => [one, known.get(one) ?? { ...fresh }]));
      }
      const changes: NonNullable<MergeRequestHappening['changes']> = {};
      const note = (field: string, previous: unknown, current: unknown): void => {
        if (previous !== current) changes[field] = { previous, current };
      };
      note('title', before.title, mergeRequest.title);
      note('draft', before.draft, isDraft(mergeRequest));
      note('target_branch', before.targetBranch, mergeRequest.targetBranch);
      if (reviewers !== undefined) {
        const named = (users: readonly User[]): unknown[] => users.map(({ id, username }) => ({ id, username }));
        changes['reviewers'] = { previous: named(before.reviewers), current: named(reviewers) };
      }
      return touch(mergeRequest, { user, action: 'update', changes });
    },

    closeMergeRequest: async (mergeRequest, user) => moveTo(mergeRequest, 'closed', 'close', user),
    reopenMergeRequest: async (mergeRequest, user) => moveTo(mergeRequest, 'opened', 'reopen', user),
    mergeMergeRequest: async (mergeRequest, user) => moveTo(mergeRequest, 'merged', 'merge', user),
    deleteMergeRequest(mergeRequest) {
      const { mergeRequests } = world.codeOf(mergeRequest.project);
      mergeRequests.splice(mergeRequests.indexOf(mergeRequest), 1);
    },

    async approve(mergeRequest, user) {
      mergeRequest.approvals.set(user, clock.now());
      setState(mergeRequest, user, 'approved');
      const action = approvalsLeft(mergeRequest, settings.premium) === 0 ? 'approved' : 'approval';
      return tell(mergeRequest, { user, action });
    },
    async unapprove(mergeRequest, user) {
      const wasApproved = approvalsLeft(mergeRequest, settings.premium) === 0;
      if (!mergeRequest.approvals.delete(user)) throw new Error(`${user.username} has not approved it`);
      setState(mergeRequest, user, 'unapproved');
      return tell(mergeRequest, { user, action: wasApproved ? 'unapproved' : 'unapproval' });
    },
    async requestChanges(mergeRequest, reviewer) {
      if (!mergeRequest.reviewers.has(reviewer)) throw new Error(`${reviewer.username} was not asked for a review`);
      mergeRequest.approvals.delete(reviewer);
      setState(mergeRequest, reviewer, 'requested_changes');
      return say(mergeRequest, reviewer, 'This needs changes.');
    },
    async comment(mergeRequest, user, note, { review = false } = {}) {
      if (review) setState(mergeRequest, user, 'reviewed');
      return say(mergeRequest, user, note);
    },
  };

  function setState(
    mergeRequest: MergeRequest,
    user: User,
    state: 'approved' | 'unapproved' | 'requested_changes' | 'reviewed',
  ) {
    const reviewer = mergeRequest.reviewers.get(user);
    if (reviewer !== undefined) reviewer.state = state;
  }

  async function moveTo(mergeRequest: MergeRequest, state: MergeRequest['state'], action: string, user?: User) {
    mergeRequest.state = state;
    return touch(mergeRequest, { user: user ?? mergeRequest.author, action });
  }

  /** Something that GitLab's time of the last change shows. Approvals and comments are not that. */
  async function touch(mergeRequest: MergeRequest, happening: MergeRequestHappening): Promise<Delivery[]> {
    mergeRequest.updatedAt = clock.now();
    return tell(mergeRequest, happening);
  }

  async function tell(mergeRequest: MergeRequest, happening: MergeRequestHappening): Promise<Delivery[]> {
    const payload = mergeRequestEvent(mergeRequest, happening, within);
    return emit(mergeRequest.project, { flag: 'merge_requests_events', payload }, within);
  }

  async function say(mergeRequest: MergeRequest, user: User, note: string): Promise<Delivery[]> {
    const payload = noteEvent(mergeRequest, { user, note, id: world.nextId('note'), at: clock.now() }, within);
    return emit(mergeRequest.project, { flag: 'note_events', payload }, within);
  }
}
