import type { Arrivals } from './arrivals.ts';
import { isPublished, type PlannedEvent, SUBSCRIPTIONS } from './bus-plan.ts';
import type { OrderlyEnd } from './crew.ts';
import type { RecordedDelivery } from './records.ts';
import type { Law } from './report.ts';

export interface Evidence {
  events: PlannedEvent[];
  arrivals: Arrivals;
  /** Events of ours that are stored. */
  storedIds: string[];
  deliveries: RecordedDelivery[];
  /** Workflows of deliveries, at the end. */
  workflows: { running: number; failed: number };
  orderlyEnds: OrderlyEnd[];
  /** How often a worker's attempts were taken from it: it was killed, or silent since Temporal was away. */
  interruptions: number;
  /** Workers that ended and were not asked to. */
  crashes: string[];
  graceMs: number;
}

/** E2 and E9, by id: what must hold of a bus whatever was killed. */
export function judge(evidence: Evidence): Law[] {
  return [
    ...lawsOfArrivals(evidence),
    ...lawsOfRecords(evidence),
    lawOfRepeats(evidence),
    lawOfWorkflows(evidence),
    lawOfCrashes(evidence),
    lawOfOrderlyEnds(evidence),
  ];
}

function lawsOfArrivals({ events, arrivals, storedIds }: Evidence): Law[] {
  const published = new Set(events.filter(isPublished).map(({ id }) => id));
  const names = Object.keys(SUBSCRIPTIONS);
  const missing = [...published].flatMap((id) =>
    names.filter((name) => arrivals.get(id, name) === undefined).map((name) => `${id} → ${name}`),
  );
  const strangers = [
    ...arrivals
      .all()
      .filter(({ eventId, subscription }) => !published.has(eventId) || !names.includes(subscription))
      .map(({ eventId, subscription }) => `${eventId} → ${subscription}`),
    ...storedIds.filter((id) => !published.has(id)),
  ];
  return [
    law('every event arrived at every subscription', missing, `${published.size} × ${names.length}`),
    law('nothing arrived that was not published', strangers, `${published.size} events are stored`),
  ];
}

function lawsOfRecords({ events, arrivals, deliveries }: Evidence): Law[] {
  const pairs = events.filter(isPublished).length * Object.keys(SUBSCRIPTIONS).length;
  const undelivered = deliveries.filter(({ state }) => state !== 'delivered');
  const wrongCount = deliveries.length === pairs ? [] : [`there are ${deliveries.length} deliveries, not ${pairs}`];
  const unrecorded = deliveries.filter(
    ({ attempts, attemptCount, lastStatusCode }) =>
      attempts.length === 0 ||
      attempts.length !== attemptCount ||
      attempts.some((number, index) => number !== index + 1) ||
      lastStatusCode !== 204,
  );
  const otherIds = deliveries.filter(({ id, eventId, subscription }) => {
    const ids = arrivals.get(eventId, subscription)?.webhookIds ?? new Set();
    return ids.size > 1 || (ids.size === 1 && !ids.has(id));
  });
  const idOf = ({ id }: RecordedDelivery): string => id;
  return [
    law(
      'every delivery is "delivered" in Postgres, once for an event and subscription',
      [...wrongCount, ...undelivered.map(({ id, state }) => `${id} is ${state}`)],
      `${deliveries.length} deliveries`,
    ),
    law('its attempts are written down, each once', unrecorded.map(idOf), `${attemptsOf(deliveries)} attempts`),
    law('a delivery has one webhook-id in all its requests', otherIds.map(idOf), `${arrivals.requests} requests`),
  ];
}

/** What a worker has in flight by default is 10 requests; and what came of others has not been written down yet. */
const MOST_REPEATED = 30;

function lawOfRepeats({ arrivals, interruptions }: Evidence): Law {
  const repeated = arrivals.requests - arrivals.count;
  const most = MOST_REPEATED * interruptions;
  return law(
    'only what was in flight or not written down was sent again',
    repeated > most ? [`${repeated} requests came again, of ${most} at most`] : [],
    `${repeated} requests came again, after ${interruptions} interruptions`,
  );
}

export function attemptsOf(deliveries: RecordedDelivery[]): number {
  return deliveries.reduce((sum, { attempts }) => sum + attempts.length, 0);
}

function lawOfWorkflows({ workflows: { running, failed } }: Evidence): Law {
  const left = [...(running > 0 ? [`${running} still run`] : []), ...(failed > 0 ? [`${failed} failed`] : [])];
  return law('their workflows have ended well', left, 'none runs, none failed');
}

function lawOfCrashes({ crashes }: Evidence): Law {
  return law('no worker ended that was not told to', crashes, 'none');
}

function lawOfOrderlyEnds({ orderlyEnds, graceMs }: Evidence): Law {
  const bad = orderlyEnds.filter(({ exit, tookMs }) => exit !== 0 || tookMs > graceMs);
  const slowestMs = Math.max(...orderlyEnds.map(({ tookMs }) => tookMs));
  return law(
    `after SIGTERM a worker ends with exit code 0 within ${graceMs / 1000} s`,
    bad.map(({ exit, tookMs }) => `${exit} after ${tookMs} ms`),
    `${orderlyEnds.length} did, the slowest in ${slowestMs} ms`,
  );
}

export function lawOfLeftovers(pids: number[], left: string[]): Law {
  return law('nothing is left running', left, `${pids.length} processes were started, all have ended`);
}

const SHOWN = 5;

/** @param against what speaks against it: none, and it held */
function law(name: string, against: string[], whenHeld: string): Law {
  if (against.length === 0) return { law: name, held: true, detail: whenHeld };
  const more = against.length > SHOWN ? `, and ${against.length - SHOWN} more` : '';
  return { law: name, held: false, detail: `${against.slice(0, SHOWN).join(', ')}${more}` };
}
