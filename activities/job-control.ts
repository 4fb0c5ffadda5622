/** Jobs as one job has others in hand, by their ids. */
export interface JobControl {
  /** Cancels a job and waits until it is over; nothing happens where none is active. @returns whether one was */
  cancel(jobId: string): Promise<boolean>;
  /** The same for all jobs that are about a repository, or about something in it. @param except ids of jobs to be left alone */
  cancelAllOf(repository: { id: number; path: string }, except: readonly string[]): Promise<number>;
  /** Takes what Temporal keeps of jobs of that repository that are over. */
  forgetAllOf(repository: { id: number; path: string }, except: readonly string[]): Promise<number>;
}
