import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Publisher } from '../bus/publisher.ts';
import type { ForgeflowDatabase } from '../database/connection.ts';
import { findHookToken } from '../database/gitlab-hooks.ts';
import { within } from '../deadline.ts';
import { projectsOf } from '../domain/event-project.ts';
import { invalid } from '../domain/refusal.ts';
import { readJsonObject } from './json-body.ts';
import { Problem } from './problem.ts';
import { store, STORE_WITHIN_MS } from './store.ts';
import { digestOf, isSameToken } from './tokens.ts';

export interface GitlabEventsOptions {
  db: ForgeflowDatabase;
  publisher: Publisher;
  /** That of hooks which somebody made by hand; those that forgeflow installs have their own. */
  token: string;
  bodyLimit: number;
}

/** `POST /gitlab/events`: what the webhooks of projects, groups and the whole of a GitLab send. */
export function addGitlabEvents(app: FastifyInstance, { db, publisher, token, bodyLimit }: GitlabEventsOptions): void {
  const senders = new WeakMap<FastifyRequest, Sender>();
  app.post('/gitlab/events', {
    bodyLimit,
    async onRequest(request) {
      const sender = await senderOf(request, db, token);
      if (sender === null) {
        throw new Problem(401, 'wrong token', 'X-Gitlab-Token: it is not the token of a hook that is known here');
      }
      senders.set(request, sender);
    },
    async handler(request, reply) {
      const { text, object } = readJsonObject(request.body);
      checkProject(senders.get(request), object);
      const event = await store(publisher, {
        topic: topicOf(object),
        data: text,
        json: true,
        dedupeKey: dedupeKeyOf(request, text),
      });
      request.stored = event;
      return reply.code(202).send(event);
    },
  });
}

/** Whose hook sends. */
interface Sender {
  /** Null: it may speak of any. */
  gitlabProjectId: number | null;
}

/** @returns null for a token that is none */
async function senderOf(request: FastifyRequest, db: ForgeflowDatabase, token: string): Promise<Sender | null> {
  const given = request.headers['x-gitlab-token'];
  if (typeof given !== 'string' || given === '') return null;
  if (isSameToken(given, token)) return { gitlabProjectId: null };
  const digest = digestOf(given);
  const known = await within(STORE_WITHIN_MS, () => findHookToken(db, digest));
  return known !== undefined && timingSafeEqual(known.hash, digest) ? known : null;
}

/**
 * Whoever maintains a project can have its hook post to a receiver of their own, and so learn its token: with that they
 * must not speak of other projects.
 */
function checkProject(sender: Sender | undefined, body: object): void {
  if (sender === undefined) throw new Error('an event was let in without its sender');
  const { gitlabProjectId } = sender;
  if (gitlabProjectId === null || projectsOf(body).every((one) => one === gitlabProjectId)) return;
  throw new Problem(403, 'token of another project', 'project_id: the token is that of another project’s hook');
}

const kind = z
  .string('it is not a string')
  .max(100, 'it has more than 100 characters')
  .regex(/^[a-z][a-z0-9_]*$/, 'it is not a lower-case word, such as merge_request')
  .nullish();
/** Only what forgeflow itself reads; the rest is for the subscribers. */
const payload = z.looseObject({ object_kind: kind, event_name: kind });

/** System hooks name many of their events by `event_name` alone; where there are both, `object_kind` is the wider one. */
function topicOf(body: object): string {
  const { success, data, error } = payload.safeParse(body);
  if (!success) {
    const issue = error.issues[0];
    throw invalid(String(issue?.path[0]), issue?.message ?? 'it is wrong');
  }
  const name = data.object_kind ?? data.event_name;
  if (name === undefined || name === null)
    throw invalid('object_kind', 'it is missing, and event_name is too, so this is no event of GitLab');
  return `gitlab.${name}`;
}

/**
 * GitLab sends a key that stays the same when it sends an event again; older versions only an id of the event, which all
 * events have in common that one action sets off, so that the payload has to tell them apart.
 */
function dedupeKeyOf(request: FastifyRequest, text: string): string | undefined {
  const key = headerOf(request, 'Idempotency-Key');
  if (key !== undefined) return `gitlab/idempotency/${key}`;
  const uuid = headerOf(request, 'X-Gitlab-Event-UUID');
  return uuid && `gitlab/${uuid}/${createHash('sha256').update(text).digest('hex')}`;
}

function headerOf(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name.toLowerCase()];
  if (typeof value !== 'string' || value === '') return undefined;
  if (value.length > 255) throw invalid(name, `it has ${value.length} characters; 255 at most`);
  return value;
}
