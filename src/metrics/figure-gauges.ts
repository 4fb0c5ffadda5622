import { Gauge, Registry } from 'prom-client';
import type { Figures } from '../database/figures.ts';
import { DELIVERY_STATES } from '../domain/delivery.ts';
import { SUBSCRIPTION_STATES } from '../domain/subscription.ts';

/** In a registry of their own, which is left out as a whole while Postgres is away: old figures would pass for new ones. */
export function createFigureGauges(): { text(figures: Figures): Promise<string> } {
  const registry = new Registry();
  const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const deliveries = gauge('forgeflow_deliveries', 'Deliveries by state', ['state']);
  const subscriptions = gauge('forgeflow_subscriptions', 'Subscriptions by state of their circuit breaker', ['state']);
  const eventsWaiting = gauge('forgeflow_events_waiting', 'Events that are stored and not dispatched yet');
  const oldestEvent = gauge(
    'forgeflow_oldest_waiting_event_age_seconds',
    'Age of the oldest of these events; 0 for none',
  );
  const deliveriesWaiting = gauge(
    'forgeflow_deliveries_waiting',
    'Pending deliveries that Temporal has not been told of yet',
  );
  const oldestDelivery = gauge(
    'forgeflow_oldest_waiting_delivery_age_seconds',
    'Age of the oldest of these; 0 for none',
  );
  return {
    async text(figures) {
      for (const state of DELIVERY_STATES) deliveries.set({ state }, figures.deliveries[state] ?? 0);
      for (const state of SUBSCRIPTION_STATES) subscriptions.set({ state }, figures.subscriptions[state] ?? 0);
      eventsWaiting.set(figures.eventsWaiting.count);
      oldestEvent.set(figures.eventsWaiting.oldestAgeSeconds);
      deliveriesWaiting.set(figures.deliveriesWaiting.count);
      oldestDelivery.set(figures.deliveriesWaiting.oldestAgeSeconds);
      return registry.metrics();
    },
  };
}
