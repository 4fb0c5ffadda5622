import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from '../logging.ts';

const ANSWERS: Record<string, [status: string, sentence: string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request took too long to arrive'],
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'the headers of the request are too large'],
};
const MALFORMED: [string, string] = ['400 Bad Request', 'what arrived is not an HTTP request'];

/** For what Node's HTTP parser gives up on, so that no route ever sees it. */
export function refuseUnreadable(logger: Logger): (error: Error & { code?: string }, socket: Socket) => void {
  return ({ code = '' }, socket) => {
    // Gone, or in the middle of an answer, which a second one would spoil.
    if (code === 'ECONNRESET' || !socket.writable || socket.bytesWritten > 0) {
      socket.destroy();
      return;
    }
    const [status, sentence] = ANSWERS[code] ?? MALFORMED;
    const body = JSON.stringify({ error: sentence });
    const head = [
      `HTTP/1.1 ${status}`,
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
    logger.warn('request refused', { route: 'unknown', status: Number(status.slice(0, 3)), reason: code });
  };
}

/** Such as `/%zz`, which fits no route and is not text either. */
export function refuseMalformedAddress(logger: Logger) {
  return (_error: unknown, _request: unknown, { raw }: { raw: ServerResponse }): void => {
    raw.writeHead(400, { 'content-type': 'application/json; charset=utf-8' });
    raw.end(JSON.stringify({ error: 'the address of the request is malformed' }));
    logger.warn('request refused', { route: 'unknown', status: 400, reason: 'malformed address' });
  };
}
