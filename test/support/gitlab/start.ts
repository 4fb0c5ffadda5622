import type { Api, UnknownParameter } from './api.ts';
import { createClock } from './clock.ts';
import { createCodeChanges } from './code-changes.ts';
import type { Surroundings } from './deliver.ts';
import { emit, resend } from './events.ts';
import { Faults } from './faults.ts';
import type { Gitlab, GitlabOptions } from './gitlab.ts';
import type { GitDesk } from './git-http.ts';
import { handle } from './handler.ts';
import { alertStatusOf, disable } from './hook-health.ts';
import { checkFields } from './hook-rules.ts';
import { changeHook, newHook } from './hook.ts';
import { createPlaceHappenings } from './place-happenings.ts';
import { createPipelineChanges } from './pipeline-changes.ts';
import { RateLimiter } from './rate-limit.ts';
import { RequestLog } from './request-log.ts';
import { createReviewChanges } from './review-changes.ts';
import { listen } from './server.ts';
import { DEFAULT_SETTINGS } from './settings.ts';
import { Tokens } from './tokens.ts';
import { MAINTAINER } from './places.ts';
import { World } from './world.ts';

const LOGGED_REQUESTS = 20_000;

/** A GitLab with a bot, its token, and a root group that the bot maintains; nothing else is in it yet. */
export async function startGitlab(options: GitlabOptions = {}): Promise<Gitlab> {
  const { botAccess = MAINTAINER, loggedRequests = LOGGED_REQUESTS, relativeUrlRoot = '' } = options;
  const clock = createClock();
  const settings = { ...structuredClone(DEFAULT_SETTINGS), ...options.settings }; // which a test may change deep within
  const within: Surroundings = { settings, clock, instance: '' };
  const world = new World(clock);
  const tokens = new Tokens(clock);
  const unknownParameters: UnknownParameter[] = [];
  const api: Api = { world, tokens, within, unknownParameters };
  const faults = new Faults();
  const rateLimiter = new RateLimiter(clock);
  const log = new RequestLog(loggedRequests);
  const git: GitDesk = { api, requests: [], children: new Set() };
  let latencyMs = options.latencyMs ?? 0;

  const server = await listen(async (incoming, outgoing) =>
    handle(
      { api, git, faults, rateLimiter, log, root: relativeUrlRoot, latencyMs: () => latencyMs },
      incoming,
      outgoing,
    ),
  );
  within.instance = `http://127.0.0.1:${server.port}${relativeUrlRoot}`;
  const bot = world.addUser({ username: 'forgeflow-bot' });
  const root = world.addGroup({ path: 'acme' });
  const changed = (change: () => void): void => {
    change();
    world.revision++;
  };
  changed(() => root.members.set(bot.id, botAccess));

  return {
    url: within.instance,
    token: tokens.add(bot).value,
    bot,
    root,
    settings,
    clock,
    get latencyMs() {
      return latencyMs;
    },
    set latencyMs(ms) {
      latencyMs = ms;
    },

    addUser: (user) => world.addUser(user),
    blockUser(user, blocked = true) {
      user.blocked = blocked;
    },
    changeUser(user, changes) {
      world.changeUser(user, changes);
    },
    deleteUser(user) {
      world.deleteUser(user);
    },
    addToken: (user, token) => tokens.add(user, token),
    revokeToken(value) {
      const token = tokens.find(value);
      if (token === undefined) throw new Error('there is no such token');
      token.revoked = true;
    },
    addGroup: (group) => world.addGroup(group),
    addProject: (project) => world.addProject({ group: root, ...project }),
    addProjects: (count, group = root, prefix = 'repository') =>
      Array.from({ length: count }, (_, index) =>
        world.addProject({ path: `${prefix}-${String(index + 1).padStart(6, '0')}`, group }),
      ),
    addMember(owner, user, level) {
      changed(() => owner.members.set(user.id, level));
    },
    removeMember(owner, user) {
      changed(() => owner.members.delete(user.id));
    },
    share(owner, group, level) {
      changed(() => owner.shares.push({ group, level }));
    },
    changeProject(project, changes) {
      changed(() => Object.assign(project, changes));
    },
    deleteProject(project) {
      world.deleteProject(project);
    },
    moveProject(project, path) {
      world.moveProject(project, path);
    },

    ...createCodeChanges(world, within),
    ...createReviewChanges(world, within),
    ...createPipelineChanges(world, within),
    ...createPlaceHappenings(world, within),

    hooksOf: ({ hooks }) => hooks.map((hook) => ({ ...hook, custom_headers: { ...hook.custom_headers } })),
    alertStatusOf: (hook) => alertStatusOf(world.hook(hook), settings, clock.now()),
    addHook(owner, fields) {
      checkFields(fields, settings, { making: true });
      const hook = newHook(world.nextHookId(), owner, clock.now(), fields);
      owner.hooks.push(hook);
      return hook;
    },
    editHook(hook, changes) {
      checkFields(changes, settings, { making: false });
      changeHook(world.hook(hook), changes);
    },
    removeHook({ owner, id }) {
      owner.hooks = owner.hooks.filter((hook) => hook.id !== id);
    },
    disableHook(hook, status) {
      disable(world.hook(hook), status, clock);
    },

    emit: async (owner, event) => emit(owner, typeof event === 'string' ? { flag: event } : event, within),
    resend: async (delivery) => resend(world.hook({ id: delivery.hookId, owner: delivery.owner }), delivery, within),

    rateLimit: rateLimiter,
    faults,
    requests: log.entries,
    get requestCount() {
      return log.total;
    },
    get mostRequestsAtOnce() {
      return log.mostInFlight;
    },
    forgetRequests() {
      log.clear();
    },
    gitRequests: git.requests,
    unknownParameters,

    goAway: async () => server.goAway(),
    comeBack: async () => server.comeBack(),
    async close() {
      faults.clear();
      for (const child of git.children) child.kill('SIGKILL');
      await server.goAway();
    },
  };
}
