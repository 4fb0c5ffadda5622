import { Logger, run } from 'graphile-worker';
import type { Sender } from '../../src/egress/send.ts';
import type { Courier } from './courier.ts';
import { type HttpJob, httpJobs, newHttpJob } from './http-job.ts';

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
  let opened = 0;
  return {
    name: 'graphile-worker',
    async open(urls) {
      const works = urls.map((url) => httpJobs(sender, url));
      const runner = await run({
        connectionString: databaseUrl,
        schema: `graphile_worker_${(opened += 1)}`, // so that nothing is left of the line before
        concurrency,
        maxPoolSize: concurrency + 5,
        noHandleSignals: true,
        parsedCronItems: [],
        taskList: {
          async send(payload) {
            const { endpoint, ...job } = payload as JobToEndpoint;
            await works[endpoint]?.(job);
          },
        },
        logger: new Logger(() => () => undefined), // a line for each job that fails, as here they are meant to
      });
      return {
        async send(eventId) {
          const jobs = urls.map((_, endpoint): JobToEndpoint => ({ ...newHttpJob(), eventId, endpoint }));
          await Promise.all(jobs.map((job) => runner.addJob('send', job)));
        },
        hasGivenUp: () => Promise.resolve(false),
        close: () => runner.stop(),
      };
    },
  };
}
