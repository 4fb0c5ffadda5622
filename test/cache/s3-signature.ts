import { createHash, createHmac } from 'node:crypto';

export interface SignedRequest {
  method: string;
  /** As it came: path and query. */
  url: string;
  headers: Record<string, string | string[] | undefined>;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/,]+)\/(\d{8})\/([^/,]+)\/s3\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/;

/**
 * Checks a request as "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)" of the S3 API
 * reference has it, written from that page and not from any client's code.
 * @returns the code of the error that S3 answers with; null where all is well
 */
export function signatureProblem(
  { method, url, headers }: SignedRequest,
  { accessKeyId, secretAccessKey }: { accessKeyId: string; secretAccessKey: string },
  region: string,
): string | null {
  const [, key, date = '', scope, signedHeaders = '', signature] =
    AUTHORIZATION.exec(String(headers['authorization'])) ?? [];
  if (key === undefined) return 'AuthorizationHeaderMalformed';
  if (key !== accessKeyId) return 'InvalidAccessKeyId';
  if (scope !== region) return 'AuthorizationHeaderMalformed';
  const names = signedHeaders.split(';');
  const amazon = Object.keys(headers).filter((name) => name.startsWith('x-amz-'));
  if (!['host', ...amazon].every((name) => names.includes(name))) return 'AccessDenied';
  const payload = String(headers['x-amz-content-sha256']);
  const time = String(headers['x-amz-date']);
  if (!time.startsWith(date)) return 'AccessDenied';
  const canonical = [
    method,
    canonicalPath(url.split('?')[0] ?? ''),
    canonicalQuery(url.split('?')[1] ?? ''),
    ...names.map((name) => `${name}:${String(headers[name]).trim().replace(/ +/g, ' ')}`),
    '',
    signedHeaders,
    payload,
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', time, `${date}/${region}/s3/aws4_request`, sha256(canonical)].join('\n');
  const secret = ['s3', 'aws4_request'].reduce(hmac, hmac(hmac(`AWS4${secretAccessKey}`, date), region));
  return hmac(secret, toSign).toString('hex') === signature ? null : 'SignatureDoesNotMatch';
}

/** Every byte but the unreserved ones as `%XY`, in upper case. */
function encoded(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) => String.fromCharCode(byte))
    .map((one) =>
      /[A-Za-z0-9._~-]/.test(one) ? one : `%${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('');
}

function canonicalPath(path: string): string {
  return path
    .split('/')
    .map((segment) => encoded(decodeURIComponent(segment)))
    .join('/');
}

function canonicalQuery(query: string): string {
  return [...new URLSearchParams(query)]
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .sort()
    .join('&');
}
