import type { Clock } from './clock.ts';
import { Code } from './code.ts';
import type { Hook } from './hook.ts';
import type { Group, NewGroup, NewProject, Owner, Place, Project, User, UserChanges, Visibility } from './places.ts';

/** Everything that this GitLab holds. Each kind has ids of its own range, so that none passes for another's by chance. */
export class World {
  readonly users = new Map<number, User>();
  readonly groups = new Map<number, Group>();
  readonly projects = new Map<number, Project>();
  /** Of every project there ever was, ascending: what keyset paging goes along. */
  readonly projectIds: number[] = [];
  /** Goes up with every change of what listings show. */
  revision = 0;
  readonly #byPath = new Map<string, Owner>();
  readonly #movedFrom = new Map<string, Project>();
  readonly #clock: Clock;
  #lastUserId = 10;
  #lastGroupId = 200;
  #lastProjectId = 1_000;
  #lastHookId = 9_000_000;
  readonly #code = new WeakMap<Project, Code>();
  readonly #lastIds = { mergeRequest: 40_000, note: 500_000, pipeline: 60_000, job: 7_000_000 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  addUser({ username, admin = false }: { username: string; admin?: boolean }): User {
    const user: User = {
      ...{ id: ++this.#lastUserId, username, name: username, admin, blocked: false },
      emails: [],
      publicEmail: null,
      commitEmail: null,
    };
    this.users.set(user.id, user);
    return user;
  }

  /** @throws Error for an email that another user has, or that GitLab would not take for what it is to be */
  changeUser(user: User, changes: UserChanges): void {
    const changed = { ...user, ...changes };
    const own = changed.emails.map(({ email }) => email.toLowerCase());
    for (const other of this.users.values())
      for (const { email } of other.emails)
        if (other !== user && own.includes(email.toLowerCase())) throw new Error(`${email} has already been taken`);
    for (const shown of [changed.publicEmail, changed.commitEmail])
      if (shown !== null && !changed.emails.some(({ email, confirmedAt }) => email === shown && confirmedAt !== null))
        throw new Error(`${shown} is not an email you own`);
    Object.assign(user, changes);
  }

  deleteUser(user: User): void {
    this.users.delete(user.id);
    for (const place of [...this.groups.values(), ...this.projects.values()]) place.members.delete(user.id);
    this.revision++;
  }

  addGroup({ path, parent = null, visibility = 'private' }: NewGroup): Group {
    const group: Group = {
      kind: 'group',
      ...this.#newPlace(++this.#lastGroupId, path, parent, visibility),
      parent,
      subgroups: new Set(),
      projects: new Set(),
    };
    this.#claim(group.path, group);
    this.groups.set(group.id, group);
    parent?.subgroups.add(group);
    return group;
  }

  addProject({ path, group = null, visibility = 'private', ...given }: NewProject): Project {
    const place = this.#newPlace(++this.#lastProjectId, path, group, visibility);
    const project: Project = {
      kind: 'project',
      ...place,
      group,
      archived: given.archived ?? false,
      empty: given.empty ?? false,
      defaultBranch: given.defaultBranch ?? 'main',
      forkedFrom: given.forkedFrom ?? null,
      mergeRequestsEnabled: true,
      pipelinesEnabled: true,
      approvalsRequired: 0,
      resetApprovalsOnPush: false,
    };
    if (given.git !== undefined) this.codeOf(project).directory = given.git;
    this.#claim(project.path, project);
    this.projects.set(project.id, project);
    this.projectIds.push(project.id);
    group?.projects.add(project);
    return project;
  }

  nextHookId(): number {
    return ++this.#lastHookId;
  }

  nextId(kind: 'mergeRequest' | 'note' | 'pipeline' | 'job'): number {
    return ++this.#lastIds[kind];
  }

  /** Made when it is first needed: most of 100,000 projects are only listed. */
  codeOf(project: Project): Code {
    const known = this.#code.get(project);
    if (known !== undefined) return known;
    const code = new Code();
    this.#code.set(project, code);
    return code;
  }

  /** Of all projects that have anything of it. */
  *allCode(): Generator<[Project, Code]> {
    for (const project of this.projects.values()) {
      const code = this.#code.get(project);
      if (code !== undefined) yield [project, code];
    }
  }

  /** Who does what nobody in particular does. */
  someone(): User {
    return [...this.users.values()].find(({ username }) => username === 'ada') ?? this.addUser({ username: 'ada' });
  }

  /** The one that this is a copy of. @throws Error when it is gone */
  hook({ id, owner }: Pick<Hook, 'id' | 'owner'>): Hook {
    const hook = owner.hooks.find((one) => one.id === id);
    if (hook === undefined) throw new Error(`there is no hook ${id} in ${owner.path}`);
    return hook;
  }

  /** By its path today, whatever the case of its letters. */
  at(path: string): Owner | undefined {
    return this.#byPath.get(path.toLowerCase());
  }

  /** The project that had this path before. */
  movedFrom(path: string): Project | undefined {
    const project = this.#movedFrom.get(path.toLowerCase());
    return project !== undefined && this.projects.has(project.id) ? project : undefined;
  }

  moveProject(project: Project, path: string): void {
    const group = path.includes('/') ? this.at(path.slice(0, path.lastIndexOf('/'))) : undefined;
    if (group?.kind === 'project') throw new Error(`${group.path} is a project`);
    if (this.at(path) !== undefined) throw new Error(`${path} has already been taken`);
    this.#byPath.delete(project.path.toLowerCase());
    this.#movedFrom.set(project.path.toLowerCase(), project);
    project.group?.projects.delete(project);
    group?.projects.add(project);
    project.group = group ?? null;
    project.path = path;
    project.name = path.slice(path.lastIndexOf('/') + 1);
    this.#claim(path, project);
  }

  deleteProject(project: Project): void {
    this.projects.delete(project.id);
    this.#byPath.delete(project.path.toLowerCase());
    project.group?.projects.delete(project);
    project.hooks = [];
    for (const [, code] of this.allCode()) code.lose(project);
    this.revision++;
  }

  #newPlace(id: number, path: string, parent: Group | null, visibility: Visibility): Place {
    return {
      id,
      path: parent === null ? path : `${parent.path}/${path}`,
      name: path.slice(path.lastIndexOf('/') + 1),
      visibility,
      createdAt: this.#clock.now(),
      members: new Map(),
      shares: [],
      hooks: [],
    };
  }

  #claim(path: string, owner: Owner): void {
    if (this.at(path) !== undefined) throw new Error(`${path} has already been taken`);
    this.#byPath.set(path.toLowerCase(), owner);
    this.#movedFrom.delete(path.toLowerCase());
    this.revision++;
  }
}
