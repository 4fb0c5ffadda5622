// The receiver's process: reads each request to its end, answers 204, and counts. See receiver.ts.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ReceiverOrder, ReceiverWord } from './receiver.ts';

let received = 0;
let awaited = Infinity;

const say = (word: ReceiverWord): void => {
  process.send?.(word);
};

const server = createServer((request, response) => {
  request.resume().once('end', () => {
    response.writeHead(204).end();
    received += 1;
    tellWhenReached();
  });
});

function tellWhenReached(): void {
  if (received < awaited) return;
  awaited = Infinity;
  say({ kind: 'done' });
}

process.on('message', (order: ReceiverOrder) => {
  if (order.kind === 'reset') {
    received = 0;
    say({ kind: 'done' });
  } else {
    awaited = order.count;
    tellWhenReached();
  }
});
// It ends with its parent, however that ends; Ctrl-C is the parent's to handle.
process.on('disconnect', () => process.exit());
process.on('SIGINT', () => undefined);

server.listen(0, '127.0.0.1', () => {
  say({ kind: 'listening', port: (server.address() as AddressInfo).port });
});
