import { v7 as uuidv7 } from 'uuid';
import type { Outcome } from '../../src/domain/outcome.ts';
import type { Sender } from '../../src/egress/send.ts';
import { generateSecret } from '../../src/egress/sign.ts';
import { webhookRequest } from '../../src/egress/webhook-request.ts';

/** The work that peers are given: the webhook that forgeflow sends, as a job that holds it. */
export interface HttpJob {
  id: string;
  eventId: string;
  topic: string;
  payload: string;
}

export const TOPIC = 'bench.push';
/** A body of 1 KiB, about what a small webhook has. */
export const PAYLOAD = JSON.stringify({ ref: 'refs/heads/main', filling: 'x'.repeat(1024 - 38) });

export function newHttpJob(): HttpJob {
  return { id: uuidv7(), eventId: uuidv7(), topic: TOPIC, payload: PAYLOAD };
}

/** Makes the same signed request as forgeflow, with the same sender. */
export function httpAttempts(sender: Sender, url: string): (job: HttpJob, number: number) => Promise<Outcome> {
  const secret = generateSecret();
  return ({ id, eventId, topic, payload }, number) =>
    sender.post(
      webhookRequest({
        url,
        id,
        eventId,
        topic,
        payload,
        attempt: number,
        timestamp: new Date(),
        secrets: [secret],
        headers: {},
      }),
    );
}

/** The same for who keeps nothing of its outcome. @throws Error when it was not delivered */
export function httpJobs(sender: Sender, url: string): (job: HttpJob) => Promise<void> {
  const attempt = httpAttempts(sender, url);
  return async (job) => {
    const outcome = await attempt(job, 1);
    if (outcome.kind !== 'response' || outcome.statusCode !== 204) throw new Error('the receiver did not answer 204');
  };
}
