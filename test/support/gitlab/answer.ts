/** What goes back to the client: JSON, a text, or nothing. */
export interface Answer {
  status: number;
  headers?: Record<string, string>;
  json?: unknown;
  text?: string;
}

/** Thrown from anywhere below a route; the answer goes out as it is. */
export class Refusal extends Error {
  readonly answer: Answer;
  constructor(answer: Answer) {
    super(JSON.stringify(answer));
    this.answer = answer;
  }
}

export const ok = (json: unknown, headers: Record<string, string> = {}): Answer => ({ status: 200, json, headers });
export const created = (json: unknown): Answer => ({ status: 201, json });
export const noContent = (): Answer => ({ status: 204 });

/** GitLab's own refusals have a `message` … */
export const refusal = (status: number, message: unknown, headers: Record<string, string> = {}): Refusal =>
  new Refusal({ status, json: { message }, headers });
/** … those of Grape, the framework of its API, an `error`. */
export const grapeRefusal = (status: number, error: string, headers: Record<string, string> = {}): Refusal =>
  new Refusal({ status, json: { error }, headers });

export const forbidden = (): Refusal => refusal(403, '403 Forbidden');
/** What GitLab says of a record below a project or group, such as a hook or a member. */
export const recordNotFound = (): Refusal => refusal(404, '404 Not found');
export const notFound = (what: 'Project' | 'Group'): Refusal => refusal(404, `404 ${what} Not Found`);
export const routeNotFound = (): Refusal => grapeRefusal(404, '404 Not Found');
