import { GitlabBadAnswer } from './errors.ts';

/** Names in lower case; of one that came several times, all values joined by commas. */
export type Headers = Readonly<Record<string, string>>;

/** One complete HTTP answer, read to its end. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

export function isJson({ headers }: Pick<Answer, 'headers'>): boolean {
  return /^application\/(?:[\w.+-]+\+)?json\b/i.test(headers['content-type'] ?? '');
}

export function isHtml({ headers, text }: Answer): boolean {
  return /^text\/html\b/i.test(headers['content-type'] ?? '') || /^\s*<(?:!doctype|html)\b/i.test(text);
}

/**
 * @returns the body of a successful answer; null for one without
 * @throws GitlabBadAnswer for anything but JSON, which a login page or a proxy's page is not
 */
export function jsonOf(answer: Answer): unknown {
  if (answer.status === 204 || answer.text === '') return null;
  if (!isJson(answer)) {
    const what = isHtml(answer) ? 'a web page, as a login page or a proxy would' : 'something else';
    throw new GitlabBadAnswer(`GitLab was to answer with JSON and answered with ${what}; is GITLAB_URL right?`);
  }
  try {
    return JSON.parse(answer.text) as unknown;
  } catch {
    throw new GitlabBadAnswer('GitLab answered with JSON that is cut off or malformed');
  }
}
