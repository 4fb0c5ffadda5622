import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { S3Settings } from '../../src/cache/s3-bucket.ts';
import { signatureProblem } from './s3-signature.ts';

export interface S3StandIn {
  settings: S3Settings;
  /** All objects by name. */
  objects: ReadonlyMap<string, { content: Buffer; modifiedAt: Date }>;
  close(): Promise<void>;
}

const CREDENTIALS = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const REGION = 'eu-central-1';
const LONGEST_NAME = 1_024; // bytes of UTF-8
const BUCKET = 'artefacts';
const REQUIRED_TIME_MS = 15 * 60_000;

/**
 * PutObject, GetObject, HeadObject, DeleteObject and ListObjectsV2 as the API reference of Amazon S3 (2006-03-01) tells of them, one
 * bucket, addressed by path. It takes nothing that is not signed, or not as long as it says; pages are short.
 */
export async function startS3StandIn({ pageSize = 3 } = {}): Promise<S3StandIn> {
  const objects = new Map<string, { content: Buffer; modifiedAt: Date }>();

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const fail = (status: number, code: string): void => {
      response.writeHead(status, { 'content-type': 'application/xml', connection: 'close' });
      response.end(
        `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${url}</Message></Error>`,
      );
    };
    const problem = signatureProblem({ method, url, headers }, CREDENTIALS, REGION) ?? timeProblem(headers);
    if (problem !== null) {
      fail(problem === 'AuthorizationHeaderMalformed' ? 400 : 403, problem);
      return;
    }
    const { pathname, searchParams } = new URL(url, 'http://stand-in');
    const [, bucket, name = ''] = /^\/([^/]+)(?:\/(.*))?$/s.exec(decodeURIComponent(pathname)) ?? [];
    if (bucket !== BUCKET) fail(404, 'NoSuchBucket');
    else if (Buffer.byteLength(name) > LONGEST_NAME) fail(400, 'KeyTooLongError');
    else if (method === 'PUT' && name !== '') {
      if (headers['content-length'] === undefined) {
        fail(411, 'MissingContentLength');
        return;
      }
      const chunks: Buffer[] = [];
      // Throws where the connection ends before: then nothing has happened.
      for await (const chunk of request) chunks.push(chunk as Buffer);
      objects.set(name, { content: Buffer.concat(chunks), modifiedAt: new Date() });
      response.writeHead(200, { etag: '"0"' }).end();
    } else if (method === 'HEAD' && name !== '') {
      const object = objects.get(name);
      // Without a body, so that nobody is told why.
      if (object === undefined) response.writeHead(404).end();
      else response.writeHead(200, { 'content-length': object.content.length }).end();
    } else if (method === 'GET' && name !== '') {
      const object = objects.get(name);
      if (object === undefined) fail(404, 'NoSuchKey');
      else response.writeHead(200, { 'content-length': object.content.length }).end(object.content);
    } else if (method === 'DELETE' && name !== '') {
      objects.delete(name);
      response.writeHead(204).end();
    } else if (method === 'GET' && searchParams.get('list-type') === '2') {
      response.writeHead(200, { 'content-type': 'application/xml' }).end(list(objects, searchParams, pageSize));
    } else fail(405, 'MethodNotAllowed');
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    settings: { endpoint: `http://127.0.0.1:${port}`, region: REGION, bucket: BUCKET, ...CREDENTIALS },
    objects,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function timeProblem(headers: IncomingMessage['headers']): string | null {
  const time = String(headers['x-amz-date']).replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ)$/, '$1-$2-$3:$4:$5');
  return Math.abs(Date.parse(time) - Date.now()) < REQUIRED_TIME_MS ? null : 'RequestTimeTooSkewed';
}

const escaped = (text: string): string => text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);

function list(
  objects: ReadonlyMap<string, { content: Buffer; modifiedAt: Date }>,
  query: URLSearchParams,
  pageSize: number,
): string {
  const prefix = query.get('prefix') ?? '';
  const token = query.get('continuation-token');
  const after = token === null ? '' : Buffer.from(token, 'base64').toString();
  const names = [...objects.keys()].filter((name) => name.startsWith(prefix) && name > after).sort();
  const page = names.slice(0, pageSize);
  const isTruncated = names.length > page.length;
  const contents = page.map((name) => {
    const { content, modifiedAt } = objects.get(name)!;
    const time = `${modifiedAt.toISOString().slice(0, 19)}.000Z`;
    return `<Contents><Key>${escaped(name)}</Key><LastModified>${time}</LastModified><ETag>&quot;0&quot;</ETag><Size>${content.length}</Size><StorageClass>STANDARD</StorageClass></Contents>`;
  });
  const next = isTruncated
    ? `<NextContinuationToken>${Buffer.from(page.at(-1)!).toString('base64')}</NextContinuationToken>`
    : '';
  return `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${BUCKET}</Name><Prefix>${escaped(prefix)}</Prefix><KeyCount>${page.length}</KeyCount><MaxKeys>${pageSize}</MaxKeys><IsTruncated>${isTruncated}</IsTruncated>${next}${contents.join('')}</ListBucketResult>`;
}
