import type { IncomingMessage } from 'node:http';
import { grapeRefusal } from './answer.ts';
import type { Parameters } from './parameters.ts';

export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * What came in the query and in the body; the body wins.
 * @throws Refusal 400 for JSON that is none, 415 for what is neither JSON nor a form
 */
export function parametersOf(query: string, contentType: string, body: string): Parameters {
  return { ...formParameters(query), ...bodyParameters(contentType, body) };
}

function bodyParameters(contentType: string, body: string): Parameters {
  if (body === '') return {};
  const [type = ''] = contentType.split(';');
  if (type.trim() === 'application/json') {
    const parsed = parseJson(body);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
      throw grapeRefusal(400, 'message body does not match declared format');
    return parsed as Parameters;
  }
  if (type.trim() === 'application/x-www-form-urlencoded') return formParameters(body);
  throw grapeRefusal(415, `The provided content-type '${contentType}' is not supported.`);
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw grapeRefusal(400, 'message body does not match declared format');
  }
}

/** Also `list[][key]=a&list[][value]=b`, which starts a new item with each key that the last one already has. */
function formParameters(form: string): Parameters {
  const parameters: Parameters = {};
  for (const [name, value] of new URLSearchParams(form)) {
    const [, list, key] = /^(\w+)\[\]\[(\w+)\]$/.exec(name) ?? [];
    if (list === undefined || key === undefined) {
      parameters[name] = value;
      continue;
    }
    const items = (parameters[list] ??= []) as Record<string, string>[];
    const last = items.at(-1);
    if (last === undefined || key in last) items.push({ [key]: value });
    else last[key] = value;
  }
  return parameters;
}
