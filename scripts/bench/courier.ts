/** Something that brings requests to endpoints, and that is measured beside others. */
export interface Courier {
  name: string;
  /** New queues or subscriptions, so that nothing is known of these endpoints yet. */
  open(urls: string[]): Promise<Line>;
}

export interface Line {
  /** Hands in one request to each endpoint, all of them under this event id. */
  send(eventId: string): Promise<void>;
  /** Whether it has given an endpoint up for the time being, since that does not answer. */
  hasGivenUp(endpoint: number): Promise<boolean>;
  /** Sends nothing more. Requests in flight may go on until they time out. */
  close(): Promise<void>;
}
