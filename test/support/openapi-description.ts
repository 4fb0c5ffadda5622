import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface Schema {
  $ref?: string;
  type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  enum?: unknown[];
  example?: unknown;
  nullable?: boolean;
  minimum?: number;
}

export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  schema: Schema;
}

type Content = Partial<Record<'application/json', { schema: Schema }>>;

export interface Operation {
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Content };
  responses: Record<string, { content?: Content }>;
}

/** An OpenAPI 3.0 document, as far as we look into it. */
export interface Description {
  paths: Record<string, Partial<Record<string, Operation>>>;
  components: { schemas: Record<string, Schema> };
}

export interface FoundOperation {
  operation: Operation;
  /** Decoded. */
  pathParameters: Record<string, string>;
}

/** @param file JSON or YAML */
export function readDescription(file: string | URL): Description {
  return parse(readFileSync(file, 'utf8')) as Description;
}

/** @param path without the query; a path with fewer placeholders goes before one with more */
export function findOperation(description: Description, method: string, path: string): FoundOperation | undefined {
  const found = Object.entries(description.paths).flatMap(([template, operations]) => {
    const operation = operations[method.toLowerCase()];
    const pathParameters = operation && matchPath(template, path);
    return pathParameters === undefined ? [] : [{ operation: operation!, pathParameters }];
  });
  const placeholders = ({ pathParameters }: FoundOperation): number => Object.keys(pathParameters).length;
  return found.sort((a, b) => placeholders(a) - placeholders(b))[0];
}

/** Follows a reference within the document. */
export function resolve({ components }: Description, schema: Schema): Schema {
  const name = schema.$ref?.replace('#/components/schemas/', '');
  return name === undefined ? schema : components.schemas[name]!;
}

function matchPath(template: string, path: string): Record<string, string> | undefined {
  const segments = path.split('/');
  const wanted = template.split('/');
  if (segments.length !== wanted.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    if (name !== undefined) parameters[name] = decodeURIComponent(segments[index]!);
    else if (part !== segments[index]) return undefined;
  }
  return parameters;
}
