import type { ForgeflowClient } from '../../src/client/forgeflow-client.ts';
import type { Lane } from '../../src/domain/lane.ts';
import type { Courier } from './courier.ts';
import { PAYLOAD } from './http-job.ts';

export interface ForgeflowCourierOptions {
  forgeflow: Pick<ForgeflowClient, 'subscriptions' | 'publish'>;
  /** What the lanes are called together; no two couriers have the same. */
  name: string;
  laneOf: (endpoint: number) => Lane;
}

/** One event, a subscription for each endpoint. */
export function forgeflowCourier({ forgeflow, name, laneOf }: ForgeflowCourierOptions): Courier {
  let opened = 0;
  return {
    name: `forgeflow, ${name}`,
    async open(urls) {
      const line = `${name.replaceAll(' ', '-')}-${(opened += 1)}`;
      const topic = `bench.${line}`;
      const names = urls.map((_, endpoint) => `${line}-endpoint-${endpoint}`);
      for (const [endpoint, url] of urls.entries()) {
        const lane = laneOf(endpoint);
        await forgeflow.subscriptions.add({ name: names[endpoint] ?? '', url, patterns: [topic], lane });
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
