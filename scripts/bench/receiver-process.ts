// The receivers' process: reads each request to its end, writes down when that was, and does as it is told. See receiver.ts.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Arrival, Behaviour, ReceiverOrder, ReceiverWord } from './receiver.ts';

let arrivals: Arrival[] = [];
let awaited = Infinity;
const unanswered = new Set<ServerResponse>();

const say = (word: ReceiverWord): void => {
  process.send?.(word);
};

const answers: Record<Behaviour, (response: ServerResponse) => void> = {
  answers: (response) => response.writeHead(204).end(),
  'is away': (response) => response.writeHead(503, { 'retry-after': '3600' }).end(),
  hangs(response) {
    unanswered.add(response);
    response.once('close', () => unanswered.delete(response));
  },
};

async function listen(behaviour: Behaviour, endpoint: number): Promise<number> {
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      arrivals.push({ endpoint, eventId: String(request.headers['x-forgeflow-event-id']), at: Date.now() });
      answers[behaviour](response);
      tellWhenReached();
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function tellWhenReached(): void {
  if (arrivals.length < awaited) return;
  awaited = Infinity;
  say({ kind: 'done' });
}

process.on('message', (order: ReceiverOrder) => {
  switch (order.kind) {
    case 'reset':
      arrivals = [];
      say({ kind: 'done' });
      break;
    case 'await':
      awaited = order.count;
      tellWhenReached();
      break;
    case 'arrivals':
      say({ kind: 'arrivals', arrivals });
      break;
    case 'unanswered':
      say({ kind: 'unanswered', count: unanswered.size });
  }
});
// It ends with its parent, however that ends; Ctrl-C is the parent's to handle.
process.on('disconnect', () => process.exit());
process.on('SIGINT', () => undefined);

const behaviours = process.argv.slice(2) as Behaviour[];
say({ kind: 'listening', ports: await Promise.all(behaviours.map(listen)) });
