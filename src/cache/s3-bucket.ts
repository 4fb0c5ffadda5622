import { Readable } from 'node:stream';
import { AwsV4Signer } from 'aws4fetch';
import { type Dispatcher, request } from 'undici';
import { CacheError } from './artefact-cache.ts';

export interface S3Settings {
  /** `https://s3.eu-central-1.amazonaws.com`, or that of another store that speaks S3. */
  endpoint: string;
  region: string;
  bucket: string;
  accessKeyId: string;
  secretAccessKey: string;
}

export interface S3Object {
  name: string;
  sizeBytes: number;
  /** Epoch ms, to the second. */
  modifiedAt: number;
}

type Body = Buffer | AsyncIterable<Uint8Array>;

interface Call {
  method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  /** Empty for the bucket itself. */
  name?: string;
  query?: Record<string, string>;
  body?: Body;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** Between two signs of life of the store. */
const PATIENCE_MS = 60_000;
/** A million objects. */
const MOST_PAGES = 1_000;

/**
 * The objects of a bucket, by the five calls of the S3 API (2006-03-01) that every such store has, addressed by path. Names
 * are of characters that stand in a URL as they are: `artefact-name`. Nothing is tried twice.
 */
export class S3Bucket {
  readonly #settings: S3Settings;
  readonly #url: string;

  constructor(settings: S3Settings) {
    this.#settings = settings;
    this.#url = `${settings.endpoint.replace(/\/+$/, '')}/${settings.bucket}`;
  }

  /** At most 5 GiB at once, which is as much as a store takes. @throws CacheError, and what reading the body throws */
  async put(name: string, body: Body, sizeBytes: number, signal?: AbortSignal): Promise<void> {
    const headers = { 'content-length': String(sizeBytes), 'content-type': 'application/octet-stream' };
    const answer = await this.#call({ method: 'PUT', name, body, headers, signal });
    await done(answer);
  }

  /** Null where there is no such object. @throws CacheError */
  async get(name: string, signal?: AbortSignal): Promise<{ sizeBytes: number; content: Readable } | null> {
    const answer = await this.#call({ method: 'GET', name, signal });
    return answer && { sizeBytes: lengthOf(answer), content: answer.body };
  }

  /** The same without its content. */
  async find(name: string, signal?: AbortSignal): Promise<{ sizeBytes: number } | null> {
    const answer = await this.#call({ method: 'HEAD', name, signal });
    await done(answer);
    return answer && { sizeBytes: lengthOf(answer) };
  }

  /** @throws CacheError */
  async delete(name: string, signal?: AbortSignal): Promise<void> {
    await done(await this.#call({ method: 'DELETE', name, signal }));
  }

  /** All whose names begin like that, by name. @throws CacheError */
  async list(prefix: string, signal?: AbortSignal): Promise<S3Object[]> {
    const objects: S3Object[] = [];
    for (let page = 0, token: string | null = ''; token !== null; page++) {
      if (page === MOST_PAGES) throw new CacheError("the S3 store's list has no end");
      const query = { 'list-type': '2', prefix, ...(token === '' ? {} : { 'continuation-token': token }) };
      const answer = await this.#call({ method: 'GET', query, signal });
      const text = answer === null ? '' : await read(answer, signal);
      if (!text.includes('<ListBucketResult'))
        throw new CacheError('the S3 store answered with something else than a list');
      for (const [, content = ''] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs)) objects.push(objectIn(content));
      token = elementIn(text, 'IsTruncated') === 'true' ? (elementIn(text, 'NextContinuationToken') ?? '') : null;
      if (token === '') throw new CacheError("the S3 store's list breaks off");
    }
    return objects;
  }

  /** Null where there is no such object. */
  async #call({
    method,
    name = '',
    query = {},
    body,
    headers = {},
    signal,
  }: Call): Promise<Dispatcher.ResponseData | null> {
    signal?.throwIfAborted();
    const url = new URL(name === '' ? this.#url : `${this.#url}/${name}`);
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
    const { region, accessKeyId, secretAccessKey } = this.#settings;
    const signer = new AwsV4Signer({ method, url: url.href, service: 's3', region, accessKeyId, secretAccessKey });
    const signed = await signer.sign();
    const answer = await reached(
      request(signed.url, {
        method,
        headers: { ...Object.fromEntries(signed.headers), ...headers },
        body: body === undefined || Buffer.isBuffer(body) ? (body ?? null) : Readable.from(body, { objectMode: false }),
        headersTimeout: PATIENCE_MS,
        bodyTimeout: PATIENCE_MS,
        signal: signal ?? null,
      }),
      signal,
    );
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
    const code = /^\w{1,64}$/.exec(elementIn(await read(answer, signal), 'Code') ?? '')?.[0];
    if (answer.statusCode === 404 && (code === 'NoSuchKey' || code === undefined) && name !== '') return null;
    throw new CacheError(`the S3 store answered with ${answer.statusCode}${code === undefined ? '' : ` (${code})`}`);
  }
}

/** Every store tells it, of what it has as a whole. */
function lengthOf({ headers, body }: Dispatcher.ResponseData): number {
  const length = Number(headers['content-length'] ?? Number.NaN);
  if (Number.isSafeInteger(length)) return length;
  body.on('error', () => undefined).destroy();
  throw new CacheError('the S3 store did not say how long an object is');
}

function objectIn(content: string): S3Object {
  const name = elementIn(content, 'Key');
  const sizeBytes = Number(elementIn(content, 'Size') ?? Number.NaN);
  const modifiedAt = Date.parse(elementIn(content, 'LastModified') ?? '');
  if (name === null || !Number.isSafeInteger(sizeBytes) || Number.isNaN(modifiedAt)) {
    throw new CacheError('the S3 store listed an object without name, size or time');
  }
  return { name, sizeBytes, modifiedAt };
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function elementIn(xml: string, name: string): string | null {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  if (text === undefined) return null;
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (whole, decimal?: string, hex?: string, word?: string) => {
    if (word !== undefined) return ENTITIES[word] ?? whole;
    return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal));
  });
}

async function read(answer: Dispatcher.ResponseData, signal: AbortSignal | undefined): Promise<string> {
  return reached(answer.body.text(), signal);
}

async function done(answer: Dispatcher.ResponseData | null): Promise<void> {
  await answer?.body.dump();
}

/** What undici throws can repeat addresses and headers. */
async function reached<T>(exchange: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await exchange;
  } catch (error) {
    signal?.throwIfAborted();
    const { code } = error as NodeJS.ErrnoException;
    if (typeof code !== 'string') throw error; // of whoever reads the content
    if (code === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH') {
      throw new CacheError('the artefact has not as many bytes as were said');
    }
    throw new CacheError(`the S3 store could not be reached: ${code}`);
  }
}
