import { randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Clock } from './clock.ts';
import { eventOf, type HookFlag } from './hook-events.ts';
import { recordOutcome } from './hook-health.ts';
import type { Hook } from './hook.ts';
import type { Settings } from './settings.ts';
import type { Owner } from './places.ts';

export interface Delivery {
  hookId: number;
  /** Whose hook it is. */
  owner: Owner;
  flag: HookFlag;
  url: string;
  /** As they were sent. */
  headers: Record<string, string>;
  body: string;
  /** Null when no answer came; then `error` says why. */
  status: number | null;
  responseBody: string;
  error: string | null;
}

export interface Sending {
  flag: HookFlag;
  payload: unknown;
  /** The same for all hooks an event goes to. */
  eventUuid: string;
  /** Of this event and this hook; the same when it is sent again. */
  idempotencyKey?: string;
}

/** Sends one event to one hook, and counts its failure or success. GitLab tries once, and follows no redirect. */
export async function deliver(hook: Hook, sending: Sending, within: Surroundings): Promise<Delivery> {
  const { settings, clock, instance } = within;
  const body = JSON.stringify(sending.payload);
  const headers: Record<string, string> = {
    ...hook.custom_headers,
    'Content-Type': 'application/json',
    'User-Agent': `GitLab/${settings.version}`,
    'Idempotency-Key': sending.idempotencyKey ?? randomUUID(),
    'X-Gitlab-Event': eventOf(sending.flag).title,
    'X-Gitlab-Webhook-UUID': randomUUID(),
    'X-Gitlab-Instance': instance,
    'X-Gitlab-Event-UUID': sending.eventUuid,
    ...(hook.token !== null && hook.token !== '' && { 'X-Gitlab-Token': hook.token }),
  };
  const outcome = await post(hook, headers, body, settings.webhookTimeoutMs);
  const success = outcome.status !== null && outcome.status >= 200 && outcome.status < 400;
  recordOutcome(hook, success, settings, clock);
  return { hookId: hook.id, owner: hook.owner, flag: sending.flag, url: hook.url, headers, body, ...outcome };
}

export interface Surroundings {
  settings: Settings;
  clock: Clock;
  /** This GitLab's own URL. */
  instance: string;
}

type Outcome = Pick<Delivery, 'status' | 'responseBody' | 'error'>;

async function post(hook: Hook, headers: Record<string, string>, body: string, timeoutMs: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const fail = (error: Error): void => {
      resolve({ status: null, responseBody: '', error: error.message });
    };
    const options = {
      method: 'POST',
      headers: { ...headers, 'Content-Length': String(Buffer.byteLength(body)) },
      agent: false as const,
      rejectUnauthorized: hook.enable_ssl_verification,
      signal: AbortSignal.timeout(timeoutMs),
    };
    const send = hook.url.startsWith('https:') ? httpsRequest : httpRequest;
    const request = send(hook.url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', fail);
      response.on('end', () => {
        const responseBody = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? null, responseBody, error: null });
      });
    });
    request.on('error', fail);
    request.end(body);
  });
}
