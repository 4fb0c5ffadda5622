import type { FastifyInstance } from 'fastify';
import type { Publication } from '../bus/outbox.ts';
import type { Publisher } from '../bus/publisher.ts';
import { invalid } from '../domain/refusal.ts';
import { isSystemTopic } from '../domain/topic-pattern.ts';
import { readJsonObject } from './json-body.ts';
import { membersOf } from './json-members.ts';
import { Problem } from './problem.ts';
import { store } from './store.ts';
import { bearerOf, isSameToken } from './tokens.ts';

export interface EventsOptions {
  publisher: Publisher;
  token: string;
  bodyLimit: number;
}

/** `POST /events`: what any application publishes, in an envelope of `topic`, `data` and, if it has one, `id`. */
export function addEvents(app: FastifyInstance, { publisher, token, bodyLimit }: EventsOptions): void {
  app.post('/events', {
    bodyLimit,
    onRequest(request, _reply, done) {
      const given = bearerOf(request.headers);
      if (given !== undefined && isSameToken(given, token)) done();
      else done(unauthorized());
    },
    async handler(request, reply) {
      const event = await store(publisher, publicationOf(readJsonObject(request.body).text));
      request.stored = event;
      return reply.code(202).send(event);
    },
  });
}

function unauthorized(): Problem {
  const sentence = 'Authorization: it is not "Bearer" and the INGRESS_TOKEN of this ingress';
  return new Problem(401, 'wrong token', sentence, { 'www-authenticate': 'Bearer' });
}

const FIELDS = ['topic', 'data', 'id'] as const;
type Field = (typeof FIELDS)[number];

/** @param text a JSON object */
function publicationOf(text: string): Publication {
  const texts = new Map<Field, string>();
  for (const { name, valueText } of membersOf(text)) {
    const field = FIELDS.find((known) => known === name);
    if (field === undefined) {
      const sentence = `${JSON.stringify(name.slice(0, 64))}: there is no such field; there are ${FIELDS.join(', ')}`;
      throw new Problem(400, 'unknown field', sentence);
    }
    if (texts.has(field)) throw invalid(field, 'it is there twice');
    texts.set(field, valueText);
  }
  const topic = stringIn('topic', required(texts, 'topic'));
  if (isSystemTopic(topic)) throw invalid('topic', 'those that begin with "system." are published by forgeflow itself');
  const id = texts.get('id');
  return {
    topic,
    data: required(texts, 'data'), // its text, so that no number is rounded on the way
    json: true,
    id: id === undefined ? undefined : stringIn('id', id),
  };
}

function required(texts: Map<Field, string>, field: Field): string {
  const text = texts.get(field);
  if (text === undefined) throw invalid(field, 'it is missing');
  return text;
}

function stringIn(field: Field, text: string): string {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'string') throw invalid(field, 'it is not a string');
  return value;
}
