import type { Sender } from '../../src/egress/send.ts';
import type { Courier } from './courier.ts';
import { type GraphileJobs, openGraphileJobs } from './graphile-worker-jobs.ts';
import { openRecordedJobs } from './graphile-worker-recorded-jobs.ts';
import { type HttpJob, httpAttempts, httpJobs, newHttpJob } from './http-job.ts';

interface JobToEndpoint extends HttpJob {
  endpoint: number;
}

export interface GraphileWorkerCourierOptions {
  databaseUrl: string;
  sender: Sender;
  concurrency: number;
}

/** A job for each endpoint, with the retries that graphile-worker has by itself. */
export function graphileWorkerCourier({ databaseUrl, sender, concurrency }: GraphileWorkerCourierOptions): Courier {
  return jobCourier('graphile-worker', (urls, schema) => {
    const works = urls.map((url) => httpJobs(sender, url));
    return openGraphileJobs({
      database: databaseUrl,
      schema,
      concurrency,
      async work({ endpoint, ...job }: JobToEndpoint) {
        await works[endpoint]?.(job);
      },
      warn: unheard,
    });
  });
}

/** The same, and each delivery and its attempts are written down. */
export function recordingGraphileWorkerCourier({
  databaseUrl,
  sender,
  concurrency,
}: GraphileWorkerCourierOptions): Courier {
  return jobCourier('graphile-worker, with records', (urls, schema) => {
    const attempts = urls.map((url) => httpAttempts(sender, url));
    return openRecordedJobs({
      databaseUrl,
      schema,
      concurrency,
      attempt: ({ endpoint, ...job }: JobToEndpoint, number) => attempts[endpoint]!(job, number),
      warn: unheard,
    });
  });
}

/** It would be a line for each job that fails, as here they are meant to. */
const unheard = (): void => undefined;

function jobCourier(
  name: string,
  openJobs: (urls: string[], schema: string) => Promise<GraphileJobs<JobToEndpoint>>,
): Courier {
  let opened = 0;
  return {
    name,
    async open(urls) {
      // So that nothing is left of the line before.
      const schema = `graphile_worker_${(opened += 1)}`;
      const queue = await openJobs(urls, schema);
      return {
        async send(eventId) {
          const jobs = urls.map((_, endpoint): JobToEndpoint => ({ ...newHttpJob(), eventId, endpoint }));
          await Promise.all(jobs.map((job) => queue.add(job)));
        },
        hasGivenUp: () => Promise.resolve(false),
        close: () => queue.stop(),
      };
    },
  };
}
