/** What is recorded of a scenario. */
export interface Execution {
  workflowId: string;
  /** Of several executions under that id, the one that is meant; the last when left out. */
  runId?: string;
}

/** By the name of the history: what makes a workflow and brings it to its end. */
export type Scenarios<Stage> = Record<string, (stage: Stage) => Promise<Execution>>;
