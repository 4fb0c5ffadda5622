import { mayAtLeast } from './access.ts';
import { created, forbidden, refusal } from './answer.ts';
import { projectIn, take, type Call } from './call.ts';
import { git } from './git-process.ts';
import { createPipelineChanges } from './pipeline-changes.ts';
import { commitStatusJson, type StatusWord } from './pipelines.ts';
import { DEVELOPER } from './places.ts';

const STATES = ['pending', 'running', 'success', 'failed', 'canceled', 'skipped'];
/** Of names and descriptions, in characters. */
const LONGEST = 255;
/** What GitLab calls the step into a state. */
const STEPS: Record<string, string> = { pending: 'enqueue', running: 'run' };

/** A service from outside says how a commit fares: in a pipeline of the commit's, which it makes where there is none. */
export async function postStatus(call: Call) {
  const project = projectIn(call);
  if (!project.pipelinesEnabled || !mayAtLeast(call.user, DEVELOPER, project)) throw forbidden();
  const values = take(call, {
    state: { type: 'string', values: STATES, required: true },
    ref: { type: 'string' },
    target_url: { type: 'string' },
    description: { type: 'string' },
    name: { type: 'string' },
    context: { type: 'string' },
    pipeline_id: { type: 'integer' },
  });
  const sha = call.segments['sha'] ?? '';
  const code = call.world.codeOf(project);
  if (!/^[0-9a-f]{40,64}$/.test(sha) || !(await code.hasCommit(sha))) throw refusal(404, '404 Commit Not Found');
  const ref = (values['ref'] as string | undefined) ?? (await branchWith(code.directory, sha, project.defaultBranch));
  if (ref === undefined) throw refusal(404, '404 References for commit Not Found');
  const state = values['state'] as StatusWord;
  const name = (values['name'] ?? values['context'] ?? 'default') as string;
  const description = (values['description'] ?? null) as string | null;
  for (const [field, text] of Object.entries({ name, description: description ?? '' })) {
    if (Array.from(text).length > LONGEST)
      throw refusal(400, { [field]: [`is too long (maximum is ${LONGEST} characters)`] });
  }
  const known = code.pipelines
    .flatMap((pipeline) => (pipeline.sha === sha && pipeline.ref === ref ? pipeline.jobs : []))
    .find((job) => job.external && !job.retried && job.name === name);
  const step = STEPS[state];
  if (known?.status === state && step !== undefined) {
    throw refusal(
      400,
      `Cannot transition status via :${step} from :${state} (Reason(s): Status cannot transition via "${step}")`,
    );
  }
  const changes = createPipelineChanges(call.world, call.within);
  return created(commitStatusJson(await changes.reportStatus(project, { sha, ref, name, status: state, description })));
}

/** Where a project has no repository that is served, its commits are in its default branch. */
async function branchWith(directory: string | null, sha: string, otherwise: string): Promise<string | undefined> {
  if (directory === null) return otherwise;
  const format = '--format=%(refname:lstrip=2)';
  const found = await git(directory, ['for-each-ref', '--count=1', format, '--contains', sha, 'refs/heads/']);
  return found === '' ? undefined : found;
}
