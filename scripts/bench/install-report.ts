import type { GitlabSize } from './install-gitlab.ts';
import { CONCURRENCY, type Turn } from './install-turns.ts';
import type { Report, Row } from './report.ts';
import { median, ratios } from './statistics.ts';

/** What both did in each round. */
export interface InstallTrial {
  size: GitlabSize;
  ours: Turn[];
  bare: Turn[];
}

export interface InstallFindings {
  trial: InstallTrial;
  /** With a GitLab that answers at once; null: not tried. */
  atOnce: InstallTrial | null;
  /** In events, of all runs. */
  largestHistory: number;
}

type Kind = keyof Turn;

export function installReport({ trial, atOnce, largestHistory }: InstallFindings): Report {
  return {
    bench: 'install',
    rows: [
      ...rowsOf(trial),
      ...(atOnce === null ? [] : rowsOf(atOnce)),
      requestsRow('forgeflow, fresh', trial, 'ours', 'fresh'),
      requestsRow('bare loop, fresh', trial, 'bare', 'fresh'),
      requestsRow('forgeflow, verifying', trial, 'ours', 'verify'),
      requestsRow('bare loop, verifying', trial, 'bare', 'verify'),
      { what: 'largestHistoryEvents', value: largestHistory, unit: 'events' },
    ],
    ratios: {
      timeToBareLoop: median(toBareLoop(trial, 'fresh')),
      requestsPerRepositoryFresh: median(requestsPerRepository(trial, 'ours', 'fresh')),
      requestsPerRepositoryVerify: median(requestsPerRepository(trial, 'ours', 'verify')),
    },
    notes: notes(trial),
  };
}

const seconds = (turns: Turn[], kind: Kind): number[] => turns.map((turn) => turn[kind].ms / 1_000);

function toBareLoop({ ours, bare }: InstallTrial, kind: Kind): number[] {
  return ratios(seconds(ours, kind), seconds(bare, kind));
}

function requestsPerRepository(trial: InstallTrial, whose: 'ours' | 'bare', kind: Kind): number[] {
  return trial[whose].map((turn) => turn[kind].requestsPerRepository);
}

function rowsOf(trial: InstallTrial): Row[] {
  const row = (what: string, unit: string, rounds: number[]): Row => ({
    what: `${trial.size.repositories} repositories, GitLab answers after ${trial.size.latencyMs} ms: ${what}`,
    value: median(rounds),
    unit,
    rounds,
  });
  return [
    row('forgeflow, fresh', 's', seconds(trial.ours, 'fresh')),
    row('bare loop, fresh', 's', seconds(trial.bare, 'fresh')),
    row('forgeflow / bare loop, fresh, round by round', 'ratio', toBareLoop(trial, 'fresh')),
    row('forgeflow, verifying', 's', seconds(trial.ours, 'verify')),
    row('bare loop, verifying', 's', seconds(trial.bare, 'verify')),
    row('forgeflow / bare loop, verifying, round by round', 'ratio', toBareLoop(trial, 'verify')),
  ];
}

function requestsRow(what: string, trial: InstallTrial, whose: 'ours' | 'bare', kind: Kind): Row {
  const rounds = requestsPerRepository(trial, whose, kind);
  return { what: `requests per repository: ${what}`, value: median(rounds), unit: 'requests', rounds };
}

function notes({ size: { repositories, warmUp, latencyMs }, ours }: InstallTrial): string[] {
  const rounds = ours.length === 1 ? 'one after the other' : `medians of ${ours.length} rounds in turns`;
  return [
    `${repositories} repositories, ${CONCURRENCY} at once; ${rounds}; each time a new GitLab, for forgeflow a new database and a new worker, and ${warmUp} repositories to warm up with; timeToBareLoop is that of fresh ones`,
    'fresh: no repository has a hook; verifying: all have, and are looked at again; each run lists the repositories first, and its requests for that count too',
    'the bare loop makes the same requests by the same client, in the same order, as many at once, and nothing else: it has no Temporal and no Postgres, keeps nothing and decides nothing',
    `the stand-in for GitLab answers after ${latencyMs} ms at least; a real one takes 50 to 200, which makes our own share in the time smaller`,
    'stand-in, worker and bare loop have a process of their own each; Postgres with its default settings (it syncs to disk), Temporal dev server on a file (SQLite, WAL), workflows bundled ahead',
  ];
}
