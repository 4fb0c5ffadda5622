import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
const FORMAT = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Seals small secrets for keeping in Postgres: a dump of the database alone gives none of them away. */
export interface Sealer {
  seal(plain: string): Buffer;
  /** @throws Error when the value was sealed with another key, or was changed */
  open(sealed: Buffer): string;
}

/** @param key base64 of 32 bytes (`SECRETS_KEY`) */
export function createSealer(key: string): Sealer {
  const keyBytes = Buffer.from(key, 'base64');
  return {
    seal(plain) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(ALGORITHM, keyBytes, nonce);
      const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      return Buffer.concat([Buffer.of(FORMAT), nonce, cipher.getAuthTag(), body]);
    },
    open(sealed) {
      const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
      const tag = sealed.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES);
      const body = sealed.subarray(1 + NONCE_BYTES + TAG_BYTES);
      try {
        if (sealed[0] !== FORMAT) throw new Error('unknown format');
        const decipher = createDecipheriv(ALGORITHM, keyBytes, nonce, { authTagLength: TAG_BYTES });
        decipher.setAuthTag(tag);
        return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
      } catch {
        throw new Error('a stored secret does not open with this SECRETS_KEY; was it sealed with another one?');
      }
    },
  };
}
