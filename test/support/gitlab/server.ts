import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StandInServer {
  port: number;
  /** Nobody listens any more, and every connection is torn down. */
  goAway(): Promise<void>;
  /** On the same port. */
  comeBack(): Promise<void>;
}

/** On a free port of 127.0.0.1. */
export async function listen(
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<StandInServer> {
  const open = async (port: number): Promise<Server> => {
    const server = createServer((request, response) => {
      handle(request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    return server;
  };
  let server: Server | undefined = await open(0);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async goAway() {
      const leaving = server;
      server = undefined;
      if (leaving === undefined) return;
      const closed = new Promise((resolve) => leaving.close(resolve));
      leaving.closeAllConnections();
      await closed;
    },
    async comeBack() {
      server ??= await open(port);
    },
  };
}
