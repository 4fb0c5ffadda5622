import { join } from 'node:path';
import type { ArtefactCache } from './artefact-cache.ts';
import { FolderCache } from './folder-cache.ts';
import { S3Cache, type S3CacheSettings } from './s3-cache.ts';

/** Where artefacts are to be kept; see `CACHE` in settings.ts. */
export type CachePlace = { kind: 'off' } | { kind: 'folder' } | ({ kind: 's3' } & S3CacheSettings);

/** @returns null where it is off @throws CacheError for settings that no store takes */
export function openCache(place: CachePlace, storageDirectory: string): ArtefactCache | null {
  if (place.kind === 'off') return null;
  return place.kind === 'folder' ? new FolderCache(join(storageDirectory, 'cache')) : new S3Cache(place);
}
