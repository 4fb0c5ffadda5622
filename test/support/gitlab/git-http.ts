import type { ChildProcess } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { basename, dirname } from 'node:path';
import { canSee, mayAtLeast } from './access.ts';
import type { Api } from './api.ts';
import { Refusal } from './answer.ts';
import { serveByCgi } from './git-cgi.ts';
import { DEVELOPER, REPORTER, type Project, type User } from './places.ts';

export interface GitRequest {
  method: string;
  /** Path and query, without the relative root. */
  path: string;
  /** What was answered; null while git still does. */
  status: number | null;
}

/** `/acme/kiln.git/info/refs` → the project's path, and the rest. */
const GIT_PATH = /^\/(.+?)\.git(\/(?:info\/refs|git-upload-pack|git-receive-pack|HEAD|objects\/.*))$/;

export interface GitDesk {
  api: Api;
  requests: GitRequest[];
  /** Those under way. */
  children: Set<ChildProcess>;
}

/**
 * Git's own HTTP, as GitLab serves it: whoever has a token gives it as the password, to any name.
 * @param path of the request, below GitLab's root, still encoded
 * @returns false for what is no address of git's
 */
export function serveGit(desk: GitDesk, path: string, incoming: IncomingMessage, outgoing: ServerResponse): boolean {
  const [, encoded, rest] = GIT_PATH.exec(path) ?? [];
  if (encoded === undefined || rest === undefined) return false;
  const entry: GitRequest = { method: incoming.method ?? '', path: `${path}${searchOf(incoming)}`, status: null };
  desk.requests.push(entry);
  outgoing.on('finish', () => {
    entry.status = outgoing.statusCode;
  });
  const isPush = rest === '/git-receive-pack' || searchOf(incoming).includes('git-receive-pack');
  const served = admit(desk.api, decodeURIComponent(encoded), incoming.headers.authorization, isPush);
  if ('status' in served) {
    const challenge = served.status === 401 ? { 'WWW-Authenticate': 'Basic realm="GitLab"' } : {};
    incoming.resume();
    outgoing.writeHead(served.status, { 'Content-Type': 'text/plain', ...challenge }).end(served.text);
    return true;
  }
  const { directory } = served;
  const child = serveByCgi(incoming, outgoing, { root: dirname(directory), path: `/${basename(directory)}${rest}` });
  desk.children.add(child);
  child.on('close', () => desk.children.delete(child));
  return true;
}

interface Denial {
  status: 401 | 403 | 404;
  text: string;
}

function admit(
  { world, tokens }: Api,
  path: string,
  authorization: string | undefined,
  isPush: boolean,
): { directory: string } | Denial {
  const denied = { status: 401, text: 'HTTP Basic: Access denied.\n' } as const;
  const gone = {
    status: 404,
    text: "The project you were looking for could not be found or you don't have permission to view it.\n",
  } as const;
  const password = passwordIn(authorization);
  let user: User | undefined;
  if (password !== undefined) {
    try {
      user = tokens.authenticate(password, isPush ? ['api'] : ['api', 'read_repository']);
    } catch (error) {
      if (error instanceof Refusal) return denied;
      throw error;
    }
  }
  const owner = world.at(path) ?? world.movedFrom(path);
  const project = owner?.kind === 'project' ? owner : undefined;
  // Without a token GitLab does not say whether there is such a project.
  if (user === undefined) return project?.visibility === 'public' && !isPush ? folderOf(project) : denied;
  if (project === undefined || !canSee(user, project)) return gone;
  const needed = isPush ? DEVELOPER : project.visibility === 'private' ? REPORTER : 0;
  if (!mayAtLeast(user, needed, project))
    return { status: 403, text: 'You are not allowed to download code from this project.\n' };
  return folderOf(project);

  function folderOf(found: Project): { directory: string } | Denial {
    const { directory } = world.codeOf(found);
    return directory === null ? gone : { directory };
  }
}

function passwordIn(authorization: string | undefined): string | undefined {
  const encoded = /^Basic (.+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  return text.slice(text.indexOf(':') + 1);
}

function searchOf({ url = '' }: IncomingMessage): string {
  return url.includes('?') ? url.slice(url.indexOf('?')) : '';
}
