import type { ForgeflowClient } from '../../src/client/forgeflow-client.ts';
import type { Courier } from './courier.ts';
import { PAYLOAD } from './http-job.ts';

/** One event, a subscription for each endpoint. */
export function forgeflowCourier(forgeflow: ForgeflowClient): Courier {
  let opened = 0;
  return {
    name: 'forgeflow',
    async open(urls) {
      const line = (opened += 1);
      const topic = `bench.line${line}`;
      const names = urls.map((_, endpoint) => `line-${line}-endpoint-${endpoint}`);
      for (const [endpoint, url] of urls.entries()) {
        await forgeflow.subscriptions.add({ name: names[endpoint] ?? '', url, patterns: [topic] });
      }
      return {
        async send(eventId) {
          await forgeflow.publish({ topic, data: PAYLOAD, json: true, id: eventId });
        },
        async hasGivenUp(endpoint) {
          const { state } = await forgeflow.subscriptions.show(names[endpoint] ?? '');
          return state === 'tripped';
        },
        async close() {
          for (const name of names) await forgeflow.subscriptions.delete(name);
        },
      };
    },
  };
}
