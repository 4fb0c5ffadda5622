import type { Client } from '@temporalio/client';
import type { JobControl } from '../../activities/job-control.ts';

export function createJobControl(_client: Client): JobControl {
  return {
    async cancel(_jobId) {
      return Promise.reject(new Error('not built yet'));
    },
    async cancelAllOf(_repository, _except) {
      return Promise.reject(new Error('not built yet'));
    },
    async forgetAllOf(_repository, _except) {
      return Promise.reject(new Error('not built yet'));
    },
  };
}
