// The receiver's process: writes each request down, then answers 204, a little later. See receiver.ts.
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ReceivedWebhook, ReceiverWord } from './receiver.ts';

const REPORT_EVERY_MS = 50;
/** So that some requests are under way whenever a worker is killed. */
const ANSWER_AFTER_MS = 50;
let unreported: ReceivedWebhook[] = [];

const say = (word: ReceiverWord): void => {
  process.send?.(word);
};

function note({ headers, url }: IncomingMessage): ReceivedWebhook {
  const header = (name: string): string => String(headers[name] ?? '');
  return {
    eventId: header('x-forgeflow-event-id'),
    subscription: (url ?? '').slice(1),
    webhookId: header('webhook-id'),
    at: Date.now(),
  };
}

const server = createServer((request, response) => {
  request.resume().once('end', () => {
    unreported.push(note(request));
    setTimeout(() => response.writeHead(204).end(), ANSWER_AFTER_MS);
  });
});

setInterval(() => {
  if (unreported.length === 0) return;
  say({ kind: 'received', webhooks: unreported });
  unreported = [];
}, REPORT_EVERY_MS);

// It ends with its parent, however that ends; Ctrl-C is the parent's to handle.
process.on('disconnect', () => process.exit());
process.on('SIGINT', () => undefined);

server.listen(0, '127.0.0.1', () => {
  say({ kind: 'listening', port: (server.address() as AddressInfo).port });
});
