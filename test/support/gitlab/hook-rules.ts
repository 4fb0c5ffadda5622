import { grapeRefusal, refusal } from './answer.ts';
import type { HookFields } from './hook.ts';
import { isSince, type Settings } from './settings.ts';
import type { Owner } from './places.ts';

const HEADER_NAME = /^[A-Za-z]+[0-9]*(?:[._-][A-Za-z0-9]+)*$/;
const MOST_HEADERS = 20;
const LONGEST_HEADER = 2048;
const LONGEST = { name: 255, description: 2048, custom_webhook_template: 4096 };
const LOCAL = /^(localhost|127\.|0\.0\.0\.0|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|\[)/;

/** @throws Refusal 422 */
export function checkFields(fields: Partial<HookFields>, settings: Settings, { making }: { making: boolean }): void {
  if ((making || fields.url !== undefined) && !isUrl(fields.url, settings))
    throw grapeRefusal(422, 'Invalid url given');
  if (!isHeaders(fields.custom_headers ?? {})) {
    const told = making ? 'Custom headers must be a valid json schema' : 'Custom headers validation failed';
    throw grapeRefusal(422, told);
  }
  if (fields.token?.includes('\n')) throw invalid('Token', 'token', 'is invalid', making);
  for (const [name, longest] of Object.entries(LONGEST)) {
    const value = fields[name as keyof typeof LONGEST];
    if ((value?.length ?? 0) > longest)
      throw invalid(capitalised(name), name, `is too long (maximum is ${longest} characters)`, making);
  }
}

/** @throws Refusal 422 when the owner has as many hooks as it may */
export function checkLimit(owner: Owner, settings: Settings): void {
  const most = settings.hookLimits[owner.kind];
  if (owner.hooks.length < most) return;
  const told = `Maximum number of ${owner.kind} hooks (${most}) exceeded`;
  throw isSince(settings, '18.0') ? grapeRefusal(422, told) : refusal(422, { base: [told] });
}

/** New hooks are refused with a sentence, changed ones with an object. */
const invalid = (label: string, name: string, told: string, making: boolean) =>
  making ? grapeRefusal(422, `${label} ${told}`) : refusal(422, { [name]: [told] });

const capitalised = (name: string) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll('_', ' ');

function isUrl(url: string | undefined, { allowLocalNetwork }: Settings): boolean {
  if (url === undefined || !/^https?:\/\/[^/\s]/.test(url) || !URL.canParse(url)) return false;
  return allowLocalNetwork || !LOCAL.test(new URL(url).hostname);
}

function isHeaders(headers: Record<string, string>): boolean {
  const entries = Object.entries(headers);
  return (
    entries.length <= MOST_HEADERS &&
    entries.every(([name, value]) => HEADER_NAME.test(name) && value.length > 0 && value.length <= LONGEST_HEADER)
  );
}
