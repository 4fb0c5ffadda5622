import { isAlias, isMap, isScalar, isSeq, type Node, parseDocument, type YAMLError } from 'yaml';
import { tooDeepAt } from './manifest-depth.ts';
import { keyOf, MANIFEST_FILE, ManifestError, type ManifestFault, shown } from './manifest-error.ts';

export type YamlPath = readonly (string | number)[];

/** A YAML document as plain values, and where each of them stands. */
export interface YamlTree {
  value: unknown;
  /** An error about the value at a path; about the key, where `at` says so; about the nearest there is, where it is missing. */
  fault: (path: YamlPath, problem: string, at?: 'key' | 'value') => ManifestError;
  /** Where a path stands in the text, to tell which of two comes first. */
  offsetOf: (path: YamlPath, at?: 'key' | 'value') => number;
}

interface Place {
  key: number;
  value: number;
}

/** What the parser says by its codes, in our words; its own would name functions of the parser, or none of the text. */
const PROBLEMS: Partial<Record<YAMLError['code'], string>> = {
  TAB_AS_INDENT: 'there is a tab in the indentation, where YAML takes only spaces',
  MULTIPLE_DOCS: 'a second YAML document begins here, and there is to be one only',
  BAD_INDENT: 'the indentation does not fit what stands above it, or a bracket is not closed',
  MULTILINE_IMPLICIT_KEY: 'a key has to stand on one line, with a colon after it',
  BLOCK_AS_IMPLICIT_KEY: 'a value with a colon in it has to stand in quotes, and a section on lines of its own',
  BLOCK_IN_FLOW: 'there is a section on lines of its own within [ ] or { }',
  MISSING_CHAR: 'something is missing here: a closing quote or bracket, a comma, or a colon after a key',
  BAD_SCALAR_START: 'a value that begins with this character has to stand in quotes',
  BAD_DQ_ESCAPE: 'in double quotes there is no such escape; single quotes take a backslash as it is',
  BAD_ALIAS: 'it would be an alias by its asterisk; write it in quotes',
};

/**
 * Reads a YAML document of the plain kind: mappings, lists, text, numbers, true and false. What YAML has beyond that
 * (anchors and aliases, tags, directives, keys that are no text) is refused, as is a key that is there twice.
 * @param asWritten of which paths a single value is the text as it stands there, so that `1.10` stays `1.10`
 * @param file its name, for what is wrong with it
 * @throws ManifestError for the first thing that is wrong
 */
export function readYaml(text: string, asWritten: (path: YamlPath) => boolean, file = MANIFEST_FILE): YamlTree {
  const at = (offset: number): Pick<ManifestFault, 'line' | 'column'> => {
    const lines = text.slice(0, offset).split('\n');
    return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
  };
  const refused = (offset: number, path: YamlPath, problem: string) =>
    new ManifestError({ ...at(offset), key: keyOf(path), problem, file });

  const tooDeep = tooDeepAt(text);
  if (tooDeep !== null) throw refused(tooDeep, [], 'it is nested too deeply');
  const document = parseDocument(text, {
    prettyErrors: false,
    schema: 'core',
    stringKeys: false,
    // Compares every key with every other one; the walk below needs no more than a look at each.
    uniqueKeys: false,
  });
  if (document.directives.yaml.explicit === true || Object.keys(document.directives.tags).length > 1) {
    throw refused(0, [], 'it has a directive of YAML (%), and needs none');
  }
  const first = document.errors.reduce<YAMLError | undefined>(
    (found, error) => (found === undefined || error.pos[0] < found.pos[0] ? error : found),
    undefined,
  );
  if (first !== undefined) {
    throw refused(first.pos[0], [], PROBLEMS[first.code] ?? `it is not YAML (${firstSentence(first.message)})`);
  }

  const places = new Map<string, Place>();
  const plain = (node: Node | null, path: YamlPath, keyOffset: number): unknown => {
    const offset = node?.range?.[0] ?? keyOffset;
    places.set(idOf(path), { key: keyOffset, value: offset });
    if (node === null) return null;
    if (isAlias(node)) throw refused(offset, path, aliasProblem(node.source));
    if ('anchor' in node) {
      throw refused(
        text.lastIndexOf('&', offset),
        path,
        `there is an anchor (&${shown(node.anchor)}), which this file does not have`,
      );
    }
    if (node.tag !== undefined) {
      // The node itself begins after its tag.
      throw refused(
        text.slice(0, offset).search(/!{1,2}[^!]*$/),
        path,
        `there is a tag (${shown(node.tag)}); text that begins with ! has to stand in quotes`,
      );
    }
    if (isSeq(node)) {
      const items = node.items as (Node | null)[];
      return items.map((item, i) => plain(item, [...path, i], item?.range?.[0] ?? offset));
    }
    if (isMap(node)) {
      const found: Record<string, unknown> = {};
      for (const { key, value } of node.items) {
        const start = (key as Node | null)?.range?.[0] ?? offset;
        const name = isScalar(key) && key.tag === undefined && key.anchor === undefined ? keyText(key) : null;
        if (name === null) throw refused(start, path, 'it has a key that is not plain text');
        const inner = [...path, name];
        if (Object.hasOwn(found, name)) throw refused(start, inner, 'the key is there twice');
        // As a property it would not be one of the object's own.
        if (name === '__proto__') throw refused(start, inner, 'there is no such key');
        found[name] = plain(value as Node | null, inner, start);
      }
      return found;
    }
    if (!isScalar(node)) return null;
    return node.value !== null && asWritten(path) ? (node.source ?? '') : node.value;
  };
  const value = plain(document.contents, [], 0);

  const offsetOf = (path: YamlPath, which: 'key' | 'value' = 'value'): number => {
    for (let length = path.length; length >= 0; length--) {
      const place = places.get(idOf(path.slice(0, length)));
      if (place !== undefined) return place[length === path.length ? which : 'key'];
    }
    return 0;
  };
  return {
    value,
    offsetOf,
    fault: (path, problem, which) => refused(offsetOf(path, which), path, problem),
  };
}

function idOf(path: YamlPath): string {
  return JSON.stringify(path);
}

/** `1:` and `true:` are keys by the text that stands there; one that is left out (`: 1`) is none. */
function keyText(key: { value: unknown; source?: string }): string | null {
  if (typeof key.value === 'string') return key.value;
  return key.source === undefined || key.source === '' ? null : key.source;
}

function aliasProblem(name: string): string {
  return `*${shown(name)} would be an alias of YAML; text that begins with an asterisk has to stand in quotes`;
}

function firstSentence(message: string): string {
  return shown(message.split(/[.;:\n]/, 1)[0] ?? '');
}
