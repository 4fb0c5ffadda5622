import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CheckRequest } from './openapi-check.ts';
import { type Description, findOperation } from './openapi-description.ts';
import { type Chance, chanceOf, sampleOf } from './openapi-sample.ts';

export interface OpenapiMock {
  url: string;
  /** `GET /api/v4/user` and so on, with the query. */
  requests: string[];
  /** What was wrong with them, by any of the checks. */
  problems: string[];
  /** From here on answers are others, and no request is remembered as wrong. */
  reseed(seed: number): void;
  close(): Promise<void>;
}

/** A server that has nothing but a description: it checks each request, and makes up an answer that is as described. */
export async function startOpenapiMock(
  description: Description,
  checks: readonly CheckRequest[],
): Promise<OpenapiMock> {
  const requests: string[] = [];
  const problems: string[] = [];
  let chance: Chance = chanceOf(1);

  const server = createServer((incoming, response) => {
    void answer(incoming).then(({ status, json }) => {
      if (json === undefined) response.writeHead(status).end();
      else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
    });
  });

  async function answer(incoming: IncomingMessage): Promise<{ status: number; json?: unknown }> {
    const { method = '', url: path = '', headers } = incoming;
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const request = { method, path, contentType: headers['content-type'], body: Buffer.concat(chunks).toString() };
    requests.push(`${method} ${path}`);
    const wrong = checks.flatMap((check) => check(request));
    if (headers['private-token'] === undefined) wrong.push('the token is missing');
    problems.push(...wrong.map((problem) => `${method} ${path}: ${problem}`));
    if (wrong.length > 0) return { status: 400, json: { error: wrong.join('; ') } };
    const { operation } = findOperation(description, method, path.replace(/\?.*/, ''))!;
    const [status, { content }] = Object.entries(operation.responses).find(([code]) => code.startsWith('2'))!;
    const schema = content?.['application/json']?.schema;
    return { status: Number(status), ...(schema && { json: sampleOf(description, schema, chance) }) };
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    problems,
    reseed(seed) {
      chance = chanceOf(seed);
      problems.length = 0;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
