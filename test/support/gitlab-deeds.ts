import fc from 'fast-check';
import { DEVELOPER, type Gitlab, type Hook, MAINTAINER, OWNER, type Project } from './gitlab/index.ts';

// What people do in GitLab, as data that fast-check can shrink and print.

const DEEDS = [
  ...(['remove hook', 'double hook', 'change URL', 'change events', 'no SSL', 'rename', 'describe', 'filter'] as const),
  ...(['change token', 'URL there and back', 'disable', 'hook by hand', 'hook elsewhere'] as const),
  ...([
    'add project',
    'delete project',
    'move project',
    'archive',
    'demote',
    'promote',
    'hook limit',
    'edition',
  ] as const),
] as const;

export interface Deed {
  what: (typeof DEEDS)[number];
  /** Chooses what it is done to, and how. */
  which: number;
}

export const deed: fc.Arbitrary<Deed> = fc.record({ what: fc.constantFrom(...DEEDS), which: fc.nat({ max: 40 }) });

export interface Stage {
  gitlab: Gitlab;
  hookUrl: string;
  /** Those that are there. */
  projects: Project[];
}

/** What a person can copy. */
function fieldsOf({ token, name, description, push_events, enable_ssl_verification, custom_headers }: Hook) {
  return { token, name, description, push_events, enable_ssl_verification, custom_headers };
}

let count = 0;

export function act(stage: Stage, { what, which }: Deed): void {
  const { gitlab, projects, hookUrl } = stage;
  const project = projects[which % Math.max(1, projects.length)];
  const owners = [...projects, gitlab.root].filter((owner) => owner.hooks.length > 0);
  const hooks: readonly Hook[] = owners.length === 0 ? [] : gitlab.hooksOf(owners[which % owners.length]!);
  const hook = hooks[which % Math.max(1, hooks.length)];
  const edit = (changes: Parameters<Gitlab['editHook']>[1]): void => {
    if (hook !== undefined) gitlab.editHook(hook, changes);
  };
  // What comes of a token that is not ours: the ingress refuses it, until GitLab gives up.
  const giveUp = (): void => {
    if (hook !== undefined) gitlab.disableHook(hook, which % 2 === 0 ? 'disabled' : 'temporarily_disabled');
  };
  switch (what) {
    case 'remove hook':
      if (hook !== undefined) gitlab.removeHook(hook);
      break;
    case 'double hook': {
      if (hook === undefined) break;
      gitlab.editHook(gitlab.addHook(hook.owner, { url: hook.url }), fieldsOf(hook));
      break;
    }
    case 'change URL':
      edit({ url: which % 2 === 0 ? 'http://127.0.0.1:1/elsewhere' : hookUrl });
      break;
    case 'change events':
      edit({ push_events: false, wiki_page_events: true });
      break;
    case 'no SSL':
      edit({ enable_ssl_verification: false });
      break;
    case 'rename':
      edit({ name: 'our hook' });
      break;
    case 'describe':
      edit({ description: which % 2 === 0 ? null : `${hook?.description ?? ''} (keep!)` });
      break;
    case 'filter':
      edit({ push_events_branch_filter: 'release/*' });
      break;
    case 'change token':
      edit({ token: 'by hand' });
      giveUp();
      break;
    case 'URL there and back':
      if (hook === undefined) break;
      edit({ url: 'http://127.0.0.1:1/elsewhere' });
      edit({ url: hook.url });
      giveUp();
      break;
    case 'disable':
      giveUp();
      break;
    case 'hook by hand':
      if (project !== undefined) gitlab.addHook(project, { url: hookUrl, token: 'by hand' });
      break;
    case 'hook elsewhere':
      if (project !== undefined) gitlab.addHook(project, { url: 'http://127.0.0.1:1/chat', push_events: false });
      break;
    case 'add project':
      projects.push(gitlab.addProject({ path: `added-${++count}` }));
      break;
    case 'delete project':
      if (project === undefined) break;
      gitlab.deleteProject(project);
      stage.projects = projects.filter((one) => one !== project);
      break;
    case 'move project':
      if (project !== undefined) gitlab.moveProject(project, `acme/moved-${++count}`);
      break;
    case 'archive':
      if (project !== undefined) gitlab.changeProject(project, { archived: which % 2 === 0 });
      break;
    case 'demote':
      gitlab.addMember(gitlab.root, gitlab.bot, DEVELOPER);
      break;
    case 'promote':
      gitlab.addMember(gitlab.root, gitlab.bot, which % 2 === 0 ? OWNER : MAINTAINER);
      break;
    case 'hook limit':
      gitlab.settings.hookLimits.project = which % 3;
      break;
    case 'edition':
      gitlab.settings.premium = which % 2 === 0;
      break;
  }
}
