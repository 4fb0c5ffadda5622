import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { S3Bucket, type S3Settings } from '../../src/cache/s3-bucket.ts';
import { S3Cache } from '../../src/cache/s3-cache.ts';
import { cacheContract, putText, textOf } from './cache-contract.ts';
import { signatureProblem } from './s3-signature.ts';
import { type S3StandIn, startS3StandIn } from './s3-stand-in.ts';

let standIn: S3StandIn;
let settings: S3Settings;

beforeAll(async () => {
  standIn = await startS3StandIn();
  settings = standIn.settings;
});
afterAll(() => standIn.close());

cacheContract('a cache in an S3 bucket', () => new S3Cache({ ...settings, prefix: 'forgeflow/' }), 8);

test('U6: the stand-in checks signatures as the example in the documentation of S3 has them', () => {
  const credentials = {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  };
  const request = {
    method: 'GET',
    url: '/test.txt',
    headers: {
      host: 'examplebucket.s3.amazonaws.com',
      range: 'bytes=0-9',
      'x-amz-content-sha256': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      'x-amz-date': '20130524T000000Z',
      authorization:
        'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    },
  };
  expect(signatureProblem(request, credentials, 'us-east-1')).toBeNull();
  expect(signatureProblem({ ...request, method: 'PUT' }, credentials, 'us-east-1')).toBe('SignatureDoesNotMatch');
});

test('U6: wrong credentials and a missing bucket are told, without credentials', async () => {
  const wrong = new S3Cache({ ...settings, secretAccessKey: 'wrong-secret' });
  await expect(textOf(wrong, 1, 'a')).rejects.toThrow('the S3 store answered with 403 (SignatureDoesNotMatch)');
  const stranger = new S3Cache({ ...settings, accessKeyId: 'stranger' });
  await expect(stranger.list(1)).rejects.toThrow('the S3 store answered with 403 (InvalidAccessKeyId)');
  const elsewhere = new S3Cache({ ...settings, region: 'us-east-1' });
  await expect(elsewhere.list(1)).rejects.toThrow('answered with 400 (AuthorizationHeaderMalformed)');
  const missing = new S3Cache({ ...settings, bucket: 'missing' });
  await expect(textOf(missing, 1, 'a')).rejects.toThrow('the S3 store answered with 404 (NoSuchBucket)');
  await expect(putText(missing, 1, 'a', 'x')).rejects.toThrow('(NoSuchBucket)');
  expect(() => new S3Cache({ ...settings, prefix: '/a b' })).toThrow('the prefix of the cache has characters');
});

test('U6: an artefact counts as used when it was written where its use was not recorded, and stray uses count nothing', async () => {
  const bucket = new S3Bucket(settings);
  const cache = new S3Cache(settings);
  await bucket.put('77/artefacts/a', Buffer.from('xyz'), 3);
  await bucket.put('77/uses/gone/0000000000000001', Buffer.alloc(0), 0);
  await bucket.put('77/uses/a/other', Buffer.alloc(0), 0);
  const [only, ...more] = await cache.list(77);
  expect(more).toEqual([]);
  expect(only).toMatchObject({ key: 'a', sizeBytes: 3 });
  expect(Math.abs(only!.lastUsedAt - Date.now())).toBeLessThan(60_000);
  expect((await bucket.list('77/uses/gone/')).length).toBe(0);
  await cache.purge(77);
  expect(await bucket.list('77/')).toEqual([]);
});

test('U6: uses leave one object each, however many there were', async () => {
  const cache = new S3Cache(settings);
  await putText(cache, 78, 'a', 'x');
  for (let i = 0; i < 3; i++) await textOf(cache, 78, 'a');
  expect(await new S3Bucket(settings).list('78/uses/')).toHaveLength(1);
});

describe('U6: a store that misbehaves', () => {
  const servers: Server[] = [];
  const bucketAt = async (listener: RequestListener): Promise<S3Bucket> => {
    const http = createServer(listener).listen(0, '127.0.0.1');
    servers.push(http);
    await new Promise((resolve) => http.once('listening', resolve));
    return new S3Bucket({ ...settings, endpoint: `http://127.0.0.1:${(http.address() as AddressInfo).port}/` });
  };
  afterEach(() => {
    for (const http of servers.splice(0)) {
      http.closeAllConnections();
      http.close();
    }
  });

  const page = (inner: string): string => `<?xml version="1.0"?><ListBucketResult>${inner}</ListBucketResult>`;

  test('lists in pages, with names that are escaped', async () => {
    const seen: (string | null)[] = [];
    const bucket = await bucketAt(({ url }, response) => {
      const token = new URL(url!, 'http://x').searchParams.get('continuation-token');
      seen.push(token);
      const object = (key: string): string =>
        `<Contents><Key>${key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><Size>7</Size></Contents>`;
      const more = '<IsTruncated>true</IsTruncated><NextContinuationToken>a+/=&amp;b</NextContinuationToken>';
      response.end(
        page(token === null ? object('a&amp;b&#x41;') + more : `${object('c')}<IsTruncated>false</IsTruncated>`),
      );
    });
    const modifiedAt = Date.UTC(2026, 0, 2, 3, 4, 5);
    expect(await bucket.list('')).toEqual([
      { name: 'a&bA', sizeBytes: 7, modifiedAt },
      { name: 'c', sizeBytes: 7, modifiedAt },
    ]);
    expect(seen).toEqual([null, 'a+/=&b']);
  });

  test.each([
    ['<html>sign in</html>', 200, 'answered with something else than a list'],
    [page('<IsTruncated>true</IsTruncated>'), 200, "the S3 store's list breaks off"],
    [page('<Contents><Key>a</Key></Contents>'), 200, 'listed an object without name, size or time'],
    ['<Error><Code>SlowDown</Code></Error>', 503, 'answered with 503 (SlowDown)'],
    ['gateway\nsecret', 502, /answered with 502$/],
  ])('%#: %s', async (body, status, message) => {
    const bucket = await bucketAt((_, response) => response.writeHead(status).end(body));
    await expect(bucket.list('')).rejects.toThrow(message);
  });

  test('hangs up, is not there, or hangs until it is broken off', async () => {
    const rude = await bucketAt((request) => request.socket.destroy());
    await expect(rude.get('a')).rejects.toThrow('the S3 store could not be reached: UND_ERR_SOCKET');
    const away = new S3Bucket({ ...settings, endpoint: 'http://127.0.0.1:1' });
    await expect(away.put('a', Buffer.from('x'), 1)).rejects.toThrow('the S3 store could not be reached: ECONNREFUSED');
    const mute = await bucketAt(() => undefined);
    await expect(mute.list('', AbortSignal.timeout(100))).rejects.toThrow(/timeout/);
  });
});
