import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findMergeRequestByIid } from '../../src/database/merge-requests.ts';
import { mergeability } from '../../src/domain/merge-state.ts';
import { branchHeads } from '../../src/git/commit-branches.ts';
import { aheadBehind, hasMergeCommits } from '../../src/git/compare.ts';
import type { Clone } from '../../src/git/clone.ts';
import { createGit } from '../../src/git/git.ts';
import { trialMerge } from '../../src/git/merge.ts';
import { branchHead } from '../../src/git/refs.ts';
import type { MergeRequest, Project } from '../support/gitlab/index.ts';
import { type MergeEnvironment, startMergeEnvironment, untilQuiet } from '../support/merge-environment.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

// MERGE_SEQUENCES=50 MERGE_SEQUENCES_SEED=… for a longer run, or one again.
const SEQUENCES = Number(process.env['MERGE_SEQUENCES'] ?? 1);
const SEED = process.env['MERGE_SEQUENCES_SEED'];

let environment: MergeEnvironment;
let post: Receiver;
beforeAll(async () => {
  [environment, post] = await Promise.all([startMergeEnvironment(), startReceiver()]);
});
afterAll(async () => {
  await environment.stop();
  await post.close();
});

const BRANCHES = ['main', 'stable', 't0', 't1', 't2'] as const;
const branch = fc.constantFrom(...BRANCHES);
const of = fc.nat(2);
const deed = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ what: fc.constant('commit' as const), branch, file: fc.nat(1), text: fc.nat(99) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant('delete' as const), branch: fc.constantFrom('stable', 't0', 't1') }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('catchUp' as const), of }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('draft' as const), of }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('retarget' as const), of }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('closeOrReopen' as const), of }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('merge' as const), of }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('comment' as const), of }) },
);
type Deed = typeof deed extends fc.Arbitrary<infer T> ? T : never;

const step = fc.record({
  deed,
  /** When each of its events comes, and how often. */
  arrival: fc.constantFrom<Arrival>('at once', 'at once', 'at once, and late again', 'late', 'late, twice'),
  /** Those that come late come in this order. */
  order: fc.nat(1_000),
});
type Arrival = 'at once' | 'at once, and late again' | 'late' | 'late, twice';

/** What somebody does in GitLab. */
async function act(project: Project, opened: MergeRequest[], one: Deed): Promise<void> {
  const { gitlab } = environment;
  if (one.what === 'commit') {
    const content = Array.from({ length: 5 }, (_, n) => (n === one.text % 5 ? `line ${one.text}\n` : `line\n`)).join(
      '',
    );
    await gitlab.commit(project, { branch: one.branch, files: { [`file-${one.file}.txt`]: content } });
    return;
  }
  if (one.what === 'delete') {
    await gitlab.push(project, { branch: one.branch, to: null });
    return;
  }
  const mergeRequest = opened[one.of]!;
  const isOpen = mergeRequest.state === 'opened';
  if (one.what === 'closeOrReopen' && mergeRequest.state !== 'merged')
    await (isOpen ? gitlab.closeMergeRequest(mergeRequest) : gitlab.reopenMergeRequest(mergeRequest));
  if (one.what === 'draft')
    await gitlab.editMergeRequest(mergeRequest, { draft: !mergeRequest.title.startsWith('Draft: ') });
  if (one.what === 'retarget')
    await gitlab.editMergeRequest(mergeRequest, {
      targetBranch: mergeRequest.targetBranch === 'main' ? 'stable' : 'main',
    });
  if (one.what === 'comment') await gitlab.comment(mergeRequest, mergeRequest.author, 'Hm.');
  // The head comes to where its base is, or the other way round.
  const { sourceBranch, targetBranch } = mergeRequest;
  const [from, to] = one.what === 'catchUp' ? [targetBranch, sourceBranch] : [sourceBranch, targetBranch];
  const sha = await head(project, from);
  if (one.what === 'catchUp' && sha !== null) await gitlab.push(project, { branch: to, to: sha });
  if (one.what === 'merge' && isOpen && sha !== null) {
    await gitlab.push(project, { branch: to, to: sha });
    await gitlab.mergeMergeRequest(mergeRequest);
  }
}

const clones = new Map<Project, Clone>();
const head = (project: Project, name: string) => branchHead(clones.get(project)!, name);

/** What a fresh look at GitLab and its repository says. */
async function truthOf({ project, state, title, sourceBranch, targetBranch }: MergeRequest) {
  if (state !== 'opened') return { state };
  const clone = clones.get(project)!;
  const [headSha, baseSha] = [await branchHead(clone, sourceBranch), await branchHead(clone, targetBranch)];
  const facts = { isDraft: title.startsWith('Draft: '), headExists: headSha !== null, baseExists: baseSha !== null };
  const known = { state, title, targetBranch, isDraft: facts.isDraft };
  if (headSha === null || baseSha === null)
    return { ...known, mergeability: { ...mergeability({ ...facts, trial: null }), headSha, baseSha, ahead: null } };
  const sides = { head: headSha, base: baseSha };
  const distance = await aheadBehind(clone, sides);
  const isClean = (await trialMerge(clone, sides)).clean;
  const trial = { isClean, ...distance, hasMergeCommits: await hasMergeCommits(clone, sides) };
  return { ...known, mergeability: { ...mergeability({ ...facts, trial }), ...distance, headSha, baseSha } };
}

/** U4: each branch with its head, which was processed; those that nobody has pushed since it is tracked are only known. */
async function trueBranches(project: Project): Promise<string[]> {
  return [...(await branchHeads(clones.get(project)!))].map(([name, sha]) => `${name} ${sha} completed`).toSorted();
}

async function keptBranches(project: Project): Promise<string[]> {
  const { rows } = await sql<{ branch: string }>`
    select branches.name || ' ' || branches.head_sha || ' ' || coalesce(state, 'completed') as branch
    from branches join repositories on repositories.id = repository_id
    left join commits on commits.repository_id = repositories.id and sha = branches.head_sha
    where gitlab_id = ${project.id}
  `.execute(environment.database.db);
  return rows.map(({ branch }) => branch).toSorted();
}

/** The bodies of what GitLab has sent since then. */
const sentSince = (before: number) => post.requests.slice(before).map(({ rawBody }) => rawBody.toString());

async function arrive(body: string): Promise<void> {
  const data = JSON.parse(body) as { object_kind: string };
  await environment.forgeflow.publish({ topic: `gitlab.${data.object_kind}`, data });
}

let count = 0;
test(
  `J7, U4: whatever happens, and however late, often and in whatever order it is told: once all is quiet the states are true (${SEQUENCES} sequences)`,
  { timeout: 60_000 + SEQUENCES * 60_000 },
  async () => {
    const { gitlab, database } = environment;
    const git = await createGit();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 14 }), async (steps) => {
        const { project, repository } = await environment.serve(`random-${++count}`);
        clones.set(project, { git, directory: repository.directory });
        for (const name of BRANCHES.slice(1))
          await gitlab.commit(project, { branch: name, files: { [`${name}.txt`]: 'x\n' } });
        const flags = { push_events: true, merge_requests_events: true, note_events: true, pipeline_events: true };
        gitlab.addHook(project, { url: post.url, ...flags });
        await environment.forgeflow.repositories.add(project.path);
        const opened: MergeRequest[] = [];
        const late: { body: string; order: number }[] = [];
        const begin = post.requests.length;
        for (const sourceBranch of ['t0', 't1', 't2'])
          opened.push(await gitlab.openMergeRequest(project, { sourceBranch }));
        for (const [index, body] of sentSince(begin).entries()) late.push({ body, order: index * 300 });
        for (const { deed: one, arrival, order } of steps) {
          const before = post.requests.length;
          await act(project, opened, one);
          for (const [index, body] of sentSince(before).entries()) {
            if (arrival.startsWith('at once')) await arrive(body);
            if (arrival !== 'at once') late.push({ body, order: (order * (index + 1)) % 1_000 });
            if (arrival === 'late, twice') late.push({ body, order: (order + 500) % 1_000 });
          }
        }
        for (const { body } of late.toSorted((a, b) => a.order - b.order)) await arrive(body);
        await untilQuiet(environment);
        for (const mergeRequest of opened) {
          const { iid } = mergeRequest;
          const known = await findMergeRequestByIid(database.db, { gitlabProjectId: project.id, iid });
          expect(known, `${project.path}!${iid}`).toMatchObject(await truthOf(mergeRequest));
        }
        expect(await keptBranches(project), project.path).toEqual(await trueBranches(project));
      }),
      { numRuns: SEQUENCES, endOnFailure: true, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
    );
  },
);
