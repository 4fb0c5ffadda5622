/** Jobs as one job has others in hand. */
export interface JobControl {
  /**
   * Cancels a job and waits until it is over; nothing happens where none is active.
   * @param jobId by `jobWorkflowId`
   * @returns whether one was active
   * @throws the signal's reason; Error where it does not end
   */
  cancel(jobId: string, signal?: AbortSignal): Promise<boolean>;
  /**
   * The same for all jobs that are about a repository, or about something in it, until there are none. Those that destroy it
   * are left alone: two of them would end each other.
   * @returns how many there were
   */
  cancelAllOf(repositoryId: number, signal?: AbortSignal): Promise<number>;
  /**
   * Has Temporal delete what it keeps of these jobs, which it does within half a minute; of those that destroy the repository
   * it keeps all.
   * @returns how many executions that were
   */
  forgetAllOf(repositoryId: number, signal?: AbortSignal): Promise<number>;
}
