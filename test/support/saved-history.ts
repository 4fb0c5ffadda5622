import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { temporal } from '@temporalio/proto';

type History = temporal.api.history.v1.IHistory;

const DIRECTORY = new URL('../histories/', import.meta.url);

/** The names of the saved histories. */
export const SAVED_HISTORIES = readdirSync(DIRECTORY)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.replace('.json', ''));

export function savedHistory(name: string): History {
  const json: unknown = JSON.parse(readFileSync(new URL(`${name}.json`, DIRECTORY), 'utf8'));
  return fromJson(historyType, json, { ignoreUnknownFields: true });
}

// The SDK reads such files itself (historyFromJSON), but only where npm has installed one protobufjs for all of its
// packages. Here each has a copy of its own, as grpc's older one took the common place, and a type of one copy is no
// type to another. So it is read with the copy that the types come from.
const require = createRequire(import.meta.url);
const requireAsProto = createRequire(require.resolve('@temporalio/proto'));
const { fromJson } = requireAsProto('protobufjs/ext/protojson') as {
  fromJson: (type: unknown, json: unknown, options: { ignoreUnknownFields: boolean }) => History;
};
const { patchProtobufRoot } = require('@temporalio/proto/lib/patch-protobuf-root') as {
  patchProtobufRoot: (root: unknown) => { lookupType(name: string): unknown };
};
const historyType = patchProtobufRoot(require('@temporalio/proto')).lookupType('temporal.api.history.v1.History');
