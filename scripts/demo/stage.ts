import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ForgeflowClient } from '../../src/client/forgeflow-client.ts';
import { loadConfig } from '../../src/config.ts';
import { type DevSystem, startDev } from '../../src/dev/dev-system.ts';
import type { Gitlab, Project } from '../../test/support/gitlab/index.ts';
import { emptyHome } from './home.ts';
import { startOrganisation } from './organisation.ts';
import { Receivers } from './receivers.ts';
import { TODO_PLUGINS } from './todo-plugin.ts';

/** What the acts play on. */
export interface Stage {
  startedAt: number;
  gitlab: Gitlab;
  repositories: readonly Project[];
  system: DevSystem;
  forgeflow: ForgeflowClient;
  receivers: Receivers;
  /** Somebody wants the show to end. */
  asked: AbortSignal;
  /** Looks until it is so. @throws Error after a minute; AbortError when asked to end */
  until: (condition: () => boolean | Promise<boolean>) => Promise<void>;
  /** A page of Temporal's Web UI. */
  webUi: (path: string) => string;
  /** Ends everything that was started. */
  close: () => Promise<void>;
}

/** A home of its own: the data of a `forgeflow dev` is left alone. */
const HOME = '.forgeflow/demo';

export async function setStage(asked: AbortSignal): Promise<Stage> {
  const startedAt = Date.now();
  const home = resolve(HOME);
  await emptyHome(home);
  await mkdir(home, { recursive: true });
  await writeFile(pluginsIn(home), TODO_PLUGINS);
  const { gitlab, repositories } = await startOrganisation();
  const receivers = new Receivers();
  const system = await startDev(configOf(home, gitlab)).catch(async (error: unknown) => {
    await gitlab.close();
    throw error;
  });
  const forgeflow = await ForgeflowClient.connect(system.config);
  return {
    startedAt,
    gitlab,
    repositories,
    system,
    forgeflow,
    receivers,
    asked,
    async until(condition) {
      const deadline = Date.now() + 60_000;
      while (!(await condition())) {
        if (Date.now() > deadline) throw new Error('the show did not go on within a minute');
        await sleep(100, undefined, { signal: asked });
      }
    },
    webUi: (path) => `${system.addresses.webUiUrl ?? ''}/namespaces/default${path}`,
    async close() {
      await forgeflow.close();
      await system.stop();
      await gitlab.close();
      receivers.close();
    },
  };
}

function pluginsIn(home: string): string {
  return join(home, 'plugins.yaml');
}

/** Nothing of the environment, nor of a `.env`: the show is the same every time. */
function configOf(home: string, gitlab: Gitlab) {
  return loadConfig(
    {
      FORGEFLOW_HOME: home,
      GITLAB_URL: gitlab.url,
      GITLAB_TOKEN: gitlab.token,
      CHECK_PLUGINS: pluginsIn(home),
      GITLAB_INSTALL_CRON: everyTenMinutes(new Date()),
      DELIVERY_ALLOWED_NETWORKS: '127.0.0.0/8', // where the receivers of the show are
      LOG_LEVEL: 'error',
    },
    home,
  );
}

/** As by default, but not before the show is over: it starts the installer itself. */
function everyTenMinutes(now: Date): string {
  return `${(now.getUTCMinutes() + 5) % 10}-59/10 * * * *`;
}
