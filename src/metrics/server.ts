import { createServer, type ServerResponse } from 'node:http';
import type { Metrics } from './metrics.ts';

export interface MetricsServer {
  url: string;
  stop(): Promise<void>;
}

export interface MetricsServerOptions {
  /** 0 for any that is free. */
  port: number;
  host?: string;
  metrics: Metrics;
}

/** Serves `GET /metrics` for a process that listens to nothing else. @throws Error when the port is taken */
export async function startMetricsServer({
  port,
  host = '0.0.0.0',
  metrics,
}: MetricsServerOptions): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.url?.split('?')[0] !== '/metrics') response.writeHead(404).end();
    else if (request.method !== 'GET' && request.method !== 'HEAD') response.writeHead(405, { allow: 'GET' }).end();
    else void answer(response, metrics);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  const taken = address !== null && typeof address === 'object' ? address.port : port;
  return {
    url: `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${taken}/metrics`,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(response: ServerResponse, metrics: Metrics): Promise<void> {
  try {
    const text = await metrics.text();
    response.writeHead(200, { 'content-type': metrics.contentType }).end(text);
  } catch {
    response.writeHead(500).end();
  }
}
