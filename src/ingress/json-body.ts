import { invalid } from '../domain/refusal.ts';

/** A JSON object as it came, and its text to the byte. */
export interface JsonBody {
  text: string;
  object: object;
}

/** @throws Refusal that repeats nothing of the body */
export function readJsonObject(body: unknown): JsonBody {
  if (!Buffer.isBuffer(body) || body.length === 0) throw invalid('body', 'it is empty; a JSON object is expected');
  const text = decode(body);
  const object = parse(text);
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    throw invalid('body', 'it is not a JSON object');
  }
  return { text, object };
}

function decode(bytes: Buffer): string {
  try {
    // A byte order mark is kept, which then is no JSON: left out, the text would no longer be what came.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid('body', 'it is not UTF-8');
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid('body', 'it is not JSON'); // V8's message quotes what it stumbled over
  }
}
