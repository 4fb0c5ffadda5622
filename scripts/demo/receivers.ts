import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface Receiver {
  url: string;
  requests: { headers: Record<string, string>; body: string }[];
}

/** Those who want to hear of events, on ports of 127.0.0.1. */
export class Receivers {
  readonly #servers: Server[] = [];

  /** @param answer the status of each answer */
  async open(answer: () => number, port = 0): Promise<Receiver> {
    const requests: Receiver['requests'] = [];
    const server = createServer((request, response) => {
      void buffer(request).then((body) => {
        requests.push({ headers: request.headers as Record<string, string>, body: body.toString() });
        response.writeHead(answer()).end();
      });
    });
    await new Promise<void>((done, fail) => {
      server.once('error', fail);
      server.listen(port, '127.0.0.1', done);
    });
    this.#servers.push(server);
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, requests };
  }

  close(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }
}
