/**
 * - `not_found`: the repository, or what was asked of it, is not there, or not for this token
 * - `corrupt`: the clone on disk is broken; a fresh one helps
 * - `unauthorized`: the server asks for other credentials
 * - `unreachable`: no whole answer came from the server
 * - `timeout`: the time that the caller gave is up
 * - `git_bug`: git found a mistake of its own, and will find it again
 * - `failed`: anything else
 */
export type GitErrorKind = 'not_found' | 'corrupt' | 'unauthorized' | 'unreachable' | 'timeout' | 'git_bug' | 'failed';

/** Git could not do it. The message is one sentence, free of tokens and of credentials in URLs. */
export class GitError extends Error {
  override readonly name = 'GitError';
  readonly kind: GitErrorKind;

  constructor(kind: GitErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

export interface Failure {
  /** Git's subcommand. */
  command: string;
  /** Null where a signal ended it. */
  exitCode: number | null;
  stderr: string;
  /** What must not be repeated. */
  secrets: readonly string[];
}

type Sentence = [kind: GitErrorKind, message: string];

// By what git prints in the C locale. The first that matches counts: a transfer that was cut off looks like a broken
// pack as well, and a server that answers 401 to one like a connection that failed.
const KNOWN: [pattern: RegExp, ...Sentence][] = [
  // What git says of itself, then what glibc says of a failed assertion, then musl.
  [
    /^BUG: [\w-]+\.c:\d+: |^[\w-]+: [\w-]+\.c:\d+: .*Assertion .* failed\.$|^Assertion failed: .* \([\w-]+\.c: /m,
    'git_bug',
    'it died of a mistake of its own',
  ],
  [/^fatal: remote error:/m, 'unreachable', 'the server reported an error of its own'],
  [
    /could not read (Username|Password) for|Authentication failed for|Invalid username or (password|token)/i,
    'unauthorized',
    'the server refused the credentials',
  ],
  [/returned error: 40[13]\b/, 'unauthorized', 'the server refused the credentials'],
  [/returned error: (404|410)\b|repository '.*' not found/, 'not_found', 'the server knows no such repository'],
  [/Could not resolve (host|proxy)/, 'unreachable', "the server's name was not found"],
  [/Failed to connect|Connection refused|Couldn't connect/i, 'unreachable', 'the server could not be connected to'],
  [
    /SSL certificate problem|SSL_\w+|SSL: |OpenSSL|gnutls|certificate verification failed|TLS (handshake|connect)/i,
    'unreachable',
    'the server could not be trusted: TLS failed',
  ],
  [/Operation too slow/, 'unreachable', 'the server sent nothing for too long'],
  [
    /Maximum \(\d+\) redirects|unable to update url base from redirection/,
    'unreachable',
    'the server redirects wrongly',
  ],
  [
    /Protocol "?\w+"? (not supported|disabled)|transport '\w+' not allowed/,
    'failed',
    "the URL's scheme is not allowed",
  ],
  [/not valid: is this a git repository|invalid server response/, 'unreachable', 'the server does not speak git'],
  [/returned error: 429\b/, 'unreachable', 'the server asks for patience: too many requests'],
  [/returned error: \d{3}\b/, 'unreachable', 'the server answered with an error'],
  [
    /RPC failed|early EOF|unexpected disconnect|hung up unexpectedly|Empty reply|Connection reset|Recv failure|unable to access/i,
    'unreachable',
    'the connection to the server broke off',
  ],
  [/No space left on device|Disk quota exceeded/, 'failed', 'the disk is full'],
  [
    /not a git repository|gitfile format|ignoring broken ref|bad config line|unterminated line in .*packed-refs|unexpected line in .*packed-refs/,
    ...broken(),
  ],
  [
    /bad (object|tree|ref|blob)\b|bad revision|not a valid (object|commit)|invalid revision range|does not point to a valid object/i,
    ...broken(),
  ],
  [
    /(object file|loose object|packed object|packfile|index file|pack file) .*(empty|corrupt|bad|too small|truncated|does not match|cannot be accessed|not accessible)/i,
    ...broken(),
  ],
  [/(unable|failed|could not|cannot) (to )?(read|parse|unpack|traverse|get|open)[^\n]*[0-9a-f]{40}/i, ...broken()],
  [
    /cannot be read|inflate: data stream error|garbage at end|unable to unpack|did not send all necessary objects/,
    ...broken(),
  ],
  [/missing (blob|tree|commit)|collect_merge_info failed|unable to load root tree|(sha1|hash) mismatch/i, ...broken()],
];

function broken(): Sentence {
  return ['corrupt', 'the clone on disk is broken'];
}

/** Tells from what git printed what went wrong. */
export function explain({ command, exitCode, stderr, secrets }: Failure): GitError {
  const lines = linesOfGit(stderr);
  const text = lines.join('\n').replace(/https?:\/\/[^\s']+/g, ''); // a URL's words mean nothing
  for (const [pattern, kind, message] of KNOWN) {
    if (pattern.test(text)) return new GitError(kind, `git ${command}: ${message}`);
  }
  const how = exitCode === null ? 'was ended by a signal' : `ended with exit code ${exitCode}`;
  const reason = lines.find((line) => /^(fatal|error|usage): /.test(line));
  const said = reason === undefined ? '' : `: ${safe(reason, secrets)}`;
  return new GitError('failed', `git ${command} ${how}${said}`);
}

/** What a server says (`remote: …`) is left out: it may say anything, also what it was sent; and git's own trace. */
function linesOfGit(stderr: string): string[] {
  return stderr
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('remote:') && !line.startsWith('{"event":'));
}

const REASON_LENGTH = 200;

function safe(line: string, secrets: readonly string[]): string {
  let text = line.replace(/\/\/[^/@\s]*@/g, '//');
  for (const secret of secrets) if (secret !== '') text = text.replaceAll(secret, '***');
  return text.replace(/[^\x20-\x7e]+/g, '?').slice(0, REASON_LENGTH);
}
