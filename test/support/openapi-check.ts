import { Ajv, type ValidateFunction } from 'ajv';
import { type Description, findOperation, type Parameter, resolve, type Schema } from './openapi-description.ts';

export interface CheckedRequest {
  method: string;
  /** Path and query. */
  path: string;
  contentType: string | undefined;
  body: string;
}

/** Says what of a request the description does not allow; nothing for one that conforms. */
export type CheckRequest = (request: CheckedRequest) => string[];

/** What is documented elsewhere than in the description, and is to pass. */
export interface Leniency {
  queryParameters?: readonly string[];
  bodyProperties?: readonly string[];
}

/**
 * A check that is stricter than OpenAPI: a parameter or an attribute that is not described is wrong too. A server would
 * pass it over, and what it stands for would be missing without a word.
 */
export function requestCheck(
  description: Description,
  { queryParameters = [], bodyProperties = [] }: Leniency = {},
): CheckRequest {
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema({ ...description, $id: 'description' });
  const compiled = new WeakMap<Schema, ValidateFunction>();
  const problemsOf = (schema: Schema, value: unknown): string[] => {
    const validate = compiled.get(schema) ?? ajv.compile(withAbsoluteReferences(schema));
    compiled.set(schema, validate);
    return validate(value)
      ? []
      : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message ?? ''}`.trim());
  };

  return ({ method, path, contentType, body }) => {
    const { pathname, searchParams } = new URL(path, 'http://description');
    const found = findOperation(description, method, pathname);
    if (found === undefined) return [`${method} ${pathname} is not described`];
    const { parameters = [], requestBody } = found.operation;
    return [
      ...parametersIn('path', Object.entries(found.pathParameters)),
      ...parametersIn('query', [...searchParams]),
      ...bodyProblems(),
    ];

    function parametersIn(place: Parameter['in'], given: [string, string][]): string[] {
      const described = parameters.filter((one) => one.in === place);
      const missing = described.filter(({ name, required }) => required && !given.some(([other]) => other === name));
      return [
        ...missing.map(({ name }) => `${place} parameter ${name} is missing`),
        ...given.flatMap(([name, text]) => {
          const parameter = described.find((one) => one.name === name);
          if (parameter !== undefined) return valueProblems(parameter, text);
          return place === 'query' && queryParameters.includes(name)
            ? []
            : [`${place} parameter ${name} is not described`];
        }),
      ];
    }

    function valueProblems({ in: place, name, schema }: Parameter, text: string): string[] {
      const problems = readings(text).map((value) => problemsOf(schema, value));
      return problems.some(({ length }) => length === 0)
        ? []
        : problems[0]!.map((one) => `${place} parameter ${name} ${one}`);
    }

    function bodyProblems(): string[] {
      const schema = requestBody?.content['application/json']?.schema;
      if (schema === undefined) return body === '' ? [] : ['a body is not described'];
      if (body === '') return requestBody?.required ? ['the body is missing'] : [];
      if (contentType !== 'application/json') return [`the body's type is ${contentType ?? 'not given'}`];
      const value = JSON.parse(body) as Record<string, unknown>;
      const known = [...Object.keys(resolve(description, schema).properties ?? {}), ...bodyProperties];
      return [
        ...problemsOf(schema, value).map((one) => `body ${one}`),
        ...Object.keys(value)
          .filter((name) => !known.includes(name))
          .map((name) => `${name} in the body is not described`),
      ];
    }
  };
}

/** What a text in a path or query can stand for. */
function readings(text: string): unknown[] {
  if (text === 'true' || text === 'false') return [text === 'true', text];
  return /^-?\d+$/.test(text) ? [Number(text), text] : [text];
}

function withAbsoluteReferences(schema: Schema): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"description#/components')) as object;
}
