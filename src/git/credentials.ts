import type { ConfigEntry } from './environment.ts';
import { GitError } from './git-error.ts';

/** A repository on a server. */
export interface Remote {
  /** `https://…`, without credentials; `http://…` only where `allowHttp` says so. */
  url: string;
  token?: string | undefined;
  /** Whom the token belongs to, for servers that ask; GitLab takes any name with an access token. */
  username?: string | undefined;
  allowHttp?: boolean | undefined;
}

export interface Access {
  config: ConfigEntry[];
  variables: Record<string, string>;
  /** What must not be repeated. */
  secrets: string[];
}

const TOKEN_VARIABLE = 'FORGEFLOW_GIT_TOKEN';
const USERNAME_VARIABLE = 'FORGEFLOW_GIT_USERNAME';
const DEFAULT_USERNAME = 'oauth2';

// Run by sh, whose printf is its own: the token does not come to stand on a command line.
const HELPER = `!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$${USERNAME_VARIABLE}" "$${TOKEN_VARIABLE}"; }; f`;

/**
 * What lets one git process reach the remote. The token stands in the environment of that process alone, and git asks
 * for it by the origin that wants it: unlike a header, which git and curl would send on, it stays behind when the
 * server redirects to another one.
 * @throws GitError `failed` when the URL or the token cannot be used
 */
export function accessTo({ url, token, username = DEFAULT_USERNAME, allowHttp = false }: Remote): Access {
  const { origin } = checked(url, allowHttp);
  const variables = { GIT_ALLOW_PROTOCOL: allowHttp ? 'https:http' : 'https' };
  if (token === undefined) return { config: [], variables, secrets: [] };
  if (!/^[\x21-\x7e]+$/.test(token) || !/^[\x21-\x7e]+$/.test(username)) {
    throw new GitError('failed', 'the token has a character that is not printable ASCII');
  }
  return {
    config: [[`credential.${origin}.helper`, HELPER]],
    variables: { ...variables, [TOKEN_VARIABLE]: token, [USERNAME_VARIABLE]: username },
    secrets: [token, encodeURIComponent(token), Buffer.from(`${username}:${token}`).toString('base64')],
  };
}

function checked(text: string, allowHttp: boolean): URL {
  if (!URL.canParse(text)) throw new GitError('failed', "the repository's URL is none");
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(allowHttp && url.protocol === 'http:')) {
    throw new GitError(
      'failed',
      `the repository's URL has the scheme "${url.protocol.slice(0, -1)}", which is not allowed`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new GitError('failed', "the repository's URL contains credentials");
  }
  return url;
}
