import { expect, test } from 'vitest';
import { runBus } from '../../scripts/chaos/bus.ts';

const SEED = 20_261_125;

test('E2 E9: 500 events to 3 subscriptions all arrive, while workers, Temporal, Postgres and the connections that listen are killed', async () => {
  const { did, laws, logs } = await runBus(SEED, {
    events: 500,
    kills: 3,
    listenerCuts: 1,
    retirements: 1,
    downMs: 2_500,
  });
  const broken = laws.filter(({ held }) => !held);
  expect(broken, `the logs are in ${logs ?? 'no place'}; ${JSON.stringify(did)}`).toEqual([]);
  expect(did).toMatchObject({ sent: 500, arrived: 1_500, temporalRestarts: 1, postgresRestarts: 1 });
  expect(did['workersKilled']).toBeGreaterThanOrEqual(5);
}, 300_000);
