import { deleteSecret, listSecrets, type SecretEntry, type SecretKey, setSecret } from '../database/secrets.ts';
import { Refusal } from '../domain/refusal.ts';
import { checkSecretName, checkSecretValue } from '../domain/stored-secret.ts';
import type { ClientContext } from './context.ts';
import { requireTracked } from './tracked-repository.ts';

/** A secret that checks are given as a file. What it is cannot be seen again. */
export interface Secret {
  name: string;
  /** Path of the repository whose checks alone have it; null: those of all repositories. */
  repository: string | null;
  /** ISO 8601. */
  updatedAt: string;
}

export interface SecretScope {
  /** Path of a tracked repository, `group/project`; all repositories when left out. */
  repository?: string | undefined;
}

/** What the manifests of repositories mount by name; a repository's own goes before that of all. */
export class Secrets {
  readonly #context: ClientContext;

  constructor(context: ClientContext) {
    this.#context = context;
  }

  /**
   * Keeps a secret sealed, in the place of the one that was there. Checks that begin from now on have it.
   * @param value text, as it is to stand in the file
   * @throws Refusal of a bad name or value; `not_found` for a repository that is not tracked
   */
  async set(name: string, value: string, scope: SecretScope = {}): Promise<Secret> {
    const { db, sealer } = this.#context;
    checkSecretName(name);
    const sealed = sealer.seal(checkSecretValue(value));
    const kept = await setSecret(db, await this.#keyOf(name, scope), sealed);
    if (kept === undefined) throw new Error(`the repository ${scope.repository ?? ''} was removed meanwhile`);
    return present(kept);
  }

  /** All of them: those of all repositories first. */
  async list(): Promise<Secret[]> {
    return (await listSecrets(this.#context.db)).map(present);
  }

  /** Checks that mount it fail from now on. @throws Refusal `not_found` */
  async delete(name: string, scope: SecretScope = {}): Promise<void> {
    const key = await this.#keyOf(name, scope);
    if (await deleteSecret(this.#context.db, key)) return;
    const whose = scope.repository === undefined ? 'for all repositories' : `of ${scope.repository}`;
    throw new Refusal(
      'not_found',
      `there is no secret ${JSON.stringify(name)} ${whose}; "secrets list" shows those there are`,
    );
  }

  async #keyOf(name: string, { repository }: SecretScope): Promise<SecretKey> {
    if (repository === undefined) return { repositoryId: null, name };
    return { repositoryId: (await requireTracked(this.#context.db, repository)).id, name };
  }
}

function present({ name, repository, updatedAt }: SecretEntry): Secret {
  return { name, repository, updatedAt: updatedAt.toISOString() };
}
