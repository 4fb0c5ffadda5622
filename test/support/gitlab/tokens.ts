import { randomBytes } from 'node:crypto';
import { Refusal, refusal } from './answer.ts';
import type { Clock } from './clock.ts';
import type { User } from './places.ts';

export type Scope = 'api' | 'read_api' | 'read_user' | 'read_repository';

export interface Token {
  /** What the client sends. */
  value: string;
  user: User;
  scopes: readonly Scope[];
  /** Epoch ms; null for one that never expires. */
  expiresAt: number | null;
  revoked: boolean;
}

/** The access tokens of this GitLab. */
export class Tokens {
  readonly #byValue = new Map<string, Token>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(user: User, { scopes = ['api'], expiresAt = null }: NewToken = {}): Token {
    const value = `glpat-${randomBytes(15).toString('base64url')}`;
    const token = { value, user, scopes, expiresAt, revoked: false };
    this.#byValue.set(value, token);
    return token;
  }

  find(value: string | undefined): Token | undefined {
    return value === undefined ? undefined : this.#byValue.get(value);
  }

  /** @throws Refusal 401, or 403 for a scope that is too narrow or a user who is blocked */
  authenticate(value: string | undefined, sufficient: readonly Scope[]): User {
    const token = this.find(value);
    if (token === undefined) throw refusal(401, '401 Unauthorized');
    if (token.revoked) throw invalidToken('Token was revoked. You have to re-authorize from the user.');
    if (token.expiresAt !== null && token.expiresAt <= this.#clock.now())
      throw invalidToken('Token is expired. You can either do re-authorization or token refresh.');
    if (!token.scopes.some((scope) => sufficient.includes(scope))) throw insufficientScope(sufficient);
    if (token.user.blocked) throw refusal(403, '403 Forbidden - Your account has been blocked.');
    return token.user;
  }
}

export interface NewToken {
  scopes?: readonly Scope[];
  expiresAt?: number | null;
}

function invalidToken(description: string): Refusal {
  const bearer = `Bearer realm="Protected by OAuth 2.0", error="invalid_token", error_description="${description}"`;
  const json = { error: 'invalid_token', error_description: description };
  return new Refusal({ status: 401, json, headers: { 'WWW-Authenticate': bearer } });
}

function insufficientScope(sufficient: readonly Scope[]): Refusal {
  const description = 'The request requires higher privileges than provided by the access token.';
  const json = { error: 'insufficient_scope', error_description: description, scope: sufficient.join(' ') };
  return new Refusal({ status: 403, json });
}
