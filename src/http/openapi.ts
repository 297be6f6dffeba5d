import { z } from 'zod';
import type { JsonValue } from '../jcs.ts';
import type { Access, Route } from './route.ts';
import { problemShape } from './shapes.ts';

type JsonObject = { readonly [name: string]: JsonValue };

/** OpenAPI 3.1, from the same schemas that check requests. */
export function openApiDocument(routes: readonly Route[], version: string): JsonObject {
  const byPath = Map.groupBy(routes, ({ path }) => path);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Countersign',
      version,
      description:
        'Key management and signing for Ethereum backends. Amounts are strings: JSON numbers lose digits above 2^53. ' +
        'Errors are RFC 9457 problems. Every POST takes an ' +
        '`Idempotency-Key`: the same key with the same request replays the answer for 24 hours, with another request it is a 409.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths: Object.fromEntries(
      [...byPath].map(([path, group]) => [
        path,
        Object.fromEntries(group.map((route) => [route.method.toLowerCase(), operation(route)])),
      ]),
    ),
    components: {
      schemas: { Problem: toJsonSchema(problemShape, 'output') },
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: '`Authorization: Bearer cs_<credential id>_<secret>`',
        },
      },
    },
  };
}

function operation(route: Route): JsonObject {
  const { answer } = route;
  const problem = {
    description: 'A problem.',
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  };
  return {
    tags: [route.tag],
    summary: route.summary,
    description: [route.description, accessText(route.access)]
      .filter((text) => text !== undefined)
      .join('\n\n'),
    ...(route.access !== 'public' && { security: [{ token: [] }] }),
    ...(typeof route.access !== 'string' && { 'x-roles': route.access }),
    parameters: [
      ...parametersOf(route.params, 'path'),
      ...parametersOf(route.query, 'query'),
      ...(route.method === 'POST' ? [IDEMPOTENCY_KEY] : []),
    ],
    ...(route.body !== undefined && {
      requestBody: {
        required: true,
        content: { 'application/json': { schema: toJsonSchema(route.body, 'input') } },
      },
    }),
    responses: {
      [String(answer.status)]: {
        description: answer.description,
        ...(route.headers !== undefined && { headers: headersOf(route.headers) }),
        content: contentOf(answer),
      },
      ...Object.fromEntries(
        Object.entries(route.alsoAnswers ?? {}).map(([status, { description, schema }]) => [
          status,
          { description, content: contentOf({ ...answer, ...(schema !== undefined && { schema }) }) },
        ]),
      ),
      default: problem,
    },
  };
}

const IDEMPOTENCY_KEY: JsonObject = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'A name of your choice for this request, so that a repeat of it does nothing twice.',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
};

export function accessText(access: Access): string {
  if (access === 'public') return 'Anybody may call this.';
  if (access === 'authenticated') return 'Takes any valid credential.';
  return `Takes the role ${access.join(' or ')}.`;
}

function headersOf(headers: { readonly [name: string]: string }): JsonObject {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
  );
}

function contentOf({ schema, mediaType, otherMediaTypes = [] }: Route['answer']): JsonObject {
  if (schema !== undefined) return { 'application/json': { schema: toJsonSchema(schema, 'output') } };
  const types = [mediaType ?? 'text/plain', ...otherMediaTypes];
  return Object.fromEntries(types.map((type) => [type, { schema: schemaOfType(type) }]));
}

function schemaOfType(type: string): JsonObject {
  if (type === 'application/json') return { type: 'object' };
  // JSON Schema's words for bytes that are no text.
  return { type: 'string', ...(!type.startsWith('text/') && { contentMediaType: type }) };
}

function parametersOf(schema: z.ZodObject | undefined, place: 'path' | 'query'): JsonObject[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = toJsonSchema(schema, 'input') as {
    properties?: { [name: string]: JsonObject };
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) =>
    parameter(name, place, place === 'path' || required.includes(name), property),
  );
}

function parameter(
  name: string,
  place: 'path' | 'query',
  required: boolean,
  { description, ...schema }: JsonObject,
): JsonObject {
  return { name, in: place, required, ...(description !== undefined && { description }), schema };
}

export function toJsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonObject {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    target: 'draft-2020-12',
    unrepresentable: 'any',
  });
  return rest as JsonObject;
}
