import { Webhook } from 'standardwebhooks';
import type { Delivery } from '../../../test/support/gitlab/index.ts';
import { chapter, claim } from '../console.ts';
import { withBar } from '../live-line.ts';
import type { Receiver } from '../receivers.ts';
import type { Stage } from '../stage.ts';
import type { Cast } from './subscribe.ts';

const BURST = 40;

export async function push({ gitlab, repositories, until, asked }: Stage, { healthy }: Cast): Promise<void> {
  chapter(`${BURST} pushes in ${BURST} repositories, sent by the webhooks just installed`);
  const [hook] = gitlab.hooksOf(repositories[0]!);
  const stranger = await fetch(hook!.url, { method: 'POST', headers: { 'X-Gitlab-Token': 'a guess' }, body: '{}' });
  claim(`a request without the token of a webhook gets ${stranger.status}`, stranger.status === 401);

  const sent = await withBar({ total: BURST, of: 'arrived', asked }, async (moveTo) => {
    const deliveries: Delivery[] = [];
    for (const repository of repositories.slice(0, BURST)) {
      deliveries.push(...(await gitlab.emit(repository, 'push_events')));
      moveTo(healthy.requests.length);
    }
    await until(() => {
      moveTo(healthy.requests.length);
      return healthy.requests.length >= BURST;
    });
    return deliveries;
  });
  const stored = sent.filter(({ status }) => status === 202).length;
  claim(`${stored} of ${BURST} were answered 202, each once it was stored`, stored === BURST && sent.length === BURST);
  const verifier = new Webhook(healthy.secret);
  const genuine = healthy.requests.filter((request) => isGenuine(verifier, request));
  const from = new Set(genuine.map(({ body }) => (JSON.parse(body) as { project_id: number }).project_id));
  claim(
    `${genuine.length} of ${BURST} arrived with a signature that the standardwebhooks package accepts`,
    genuine.length === BURST && from.size === BURST,
  );

  const [delivery] = sent;
  const again = await gitlab.resend(delivery!);
  const [first, second] = [answerOf(delivery!), answerOf(again)];
  claim(
    'what GitLab sends again is known by its Idempotency-Key, and stored once',
    again.status === 202 && !first.duplicate && second.duplicate && first.eventId === second.eventId,
  );
}

function isGenuine(verifier: Webhook, { headers, body }: Receiver['requests'][number]): boolean {
  try {
    verifier.verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

function answerOf({ responseBody }: Delivery): { eventId: string; duplicate: boolean } {
  return JSON.parse(responseBody) as { eventId: string; duplicate: boolean };
}
