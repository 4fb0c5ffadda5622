import { expect, test } from 'vitest';
import { runBus } from '../../scripts/chaos/bus.ts';

const SEED = 20_261_125;

test('E2 E9 E14: 500 events to 3 subscriptions all arrive, in lanes that change, while workers, Temporal, Postgres and the connections that listen are killed', async () => {
  const size = { events: 500, kills: 3, listenerCuts: 1, retirements: 1, laneChanges: 8, downMs: 2_500 };
  const { did, laws, logs } = await runBus(SEED, size, 'mixed');
  const broken = laws.filter(({ held }) => !held);
  expect(broken, `the logs are in ${logs ?? 'no place'}; ${JSON.stringify(did)}`).toEqual([]);
  expect(did).toMatchObject({ sent: 500, arrived: 1_500, temporalRestarts: 1, postgresRestarts: 1 });
  expect(did['workersKilled']).toBeGreaterThanOrEqual(5);
  expect(did['laneChanges']).toBeGreaterThanOrEqual(1);
  expect(did['deliveredByBatches']).toBeGreaterThanOrEqual(1);
  expect(did['deliveredByOwnWorkflows']).toBeGreaterThanOrEqual(1);
}, 300_000);
